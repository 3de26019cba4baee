"""When a site's syncs run: each schedule by its name, with the time it runs next; and pulls a hospital's notification asks for.

Whoever starts a run or changes a schedule holds the site's row first (`schedule_runs.hold`), so that a due time is taken once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, select, update

from fhir_bridge import documents
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.schedule_tables import schedules as table
from fhir_bridge.store.schedule_tables import wanted_pulls


@dataclass(frozen=True, slots=True)
class Schedule:
    """What runs when: `what` of `hospitals` (None: all the site has) at the times of `cron` in `zone`; `next_at` None while paused.

    `older_than` is in days, for the archive only.
    """

    tenant: str
    name: str
    what: str
    hospitals: tuple[str, ...] | None
    cron: str
    zone: str
    made_at: datetime
    made_by: str
    next_at: datetime | None
    older_than: int | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_why: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Types of one hospital that are to be pulled now, and each one's `next_at`, by which a newer wish is told from this one."""

    tenant: str
    hospital: str
    types: tuple[tuple[str, datetime], ...]


def add(tx: Transaction, schedule: Schedule) -> bool:
    """False when the site has one of that name."""
    values = {name: getattr(schedule, name) for name in Schedule.__slots__}
    values["hospitals"] = None if schedule.hospitals is None else documents.dumps(list(schedule.hospitals))
    if one(tx, schedule.tenant, schedule.name):
        return False
    tx.execute(insert(table).values(**values))
    return True


def one(tx: Transaction, tenant: str, name: str) -> Schedule | None:
    return tx.one(_schedule, _select().where(*_at(tenant, name)))


def listing(tx: Transaction, tenant: str | None = None) -> list[Schedule]:
    """By site and name."""
    found = _select().where(*([table.c.tenant == tenant] if tenant else [])).order_by(table.c.tenant, table.c.name)
    return tx.every(_schedule, found)


def due(tx: Transaction, now: datetime) -> list[Schedule]:
    """Those whose time has come, the one that has waited longest first."""
    return tx.every(_schedule, _select().where(table.c.next_at <= now).order_by(table.c.next_at, table.c.tenant, table.c.name))


def move(tx: Transaction, schedule: Schedule, *, next_at: datetime, zone: str) -> None:
    """From now on it runs next at `next_at`, which was worked out in `zone`; a pause ends."""
    pause = {"paused_at": None, "paused_by": None, "paused_why": None}
    tx.execute(update(table).where(*_at(schedule.tenant, schedule.name)).values(next_at=next_at, zone=zone, **pause))


def pause(tx: Transaction, schedule: Schedule, *, who: str, why: str, now: datetime) -> None:
    values = {"paused_at": now, "paused_by": who, "paused_why": why}
    tx.execute(update(table).where(*_at(schedule.tenant, schedule.name)).values(next_at=None, **values))


def remove(tx: Transaction, schedule: Schedule) -> None:
    """Its runs stay in the history."""
    tx.execute(delete(table).where(*_at(schedule.tenant, schedule.name)))


def want_pull(tx: Transaction, *, tenant: str, hospital: str, type: str, now: datetime) -> None:
    """Have `type` pulled as soon as may be; however often this is said before the pull begins, it is one."""
    tx.upsert(wanted_pulls, tenant=tenant, hospital=hospital, type=type, next_at=now)


def wanted(tx: Transaction, now: datetime) -> list[Wanted]:
    """What is to be pulled now, by site and hospital."""
    columns = (wanted_pulls.c.tenant, wanted_pulls.c.hospital, wanted_pulls.c.type, wanted_pulls.c.next_at)
    found: dict[tuple[str, str], list[tuple[str, datetime]]] = {}
    for tenant, hospital, type, next_at in tx.rows(select(*columns).where(wanted_pulls.c.next_at <= now).order_by(*columns)):
        found.setdefault((tenant, hospital), []).append((type, next_at))
    return [Wanted(*place, tuple(types)) for place, types in found.items()]


def put_off(tx: Transaction, pulls: Wanted, until: datetime) -> Wanted:
    """A run begins: if it does not succeed, these are wanted again at `until`."""
    for type, next_at in pulls.types:
        tx.execute(update(wanted_pulls).where(*_wish(pulls, type, next_at)).values(next_at=until))
    return Wanted(pulls.tenant, pulls.hospital, tuple((type, until) for type, _ in pulls.types))


def fulfilled(tx: Transaction, pulls: Wanted) -> None:
    """The run succeeded; what was said again since it began stays wanted."""
    for type, next_at in pulls.types:
        tx.execute(delete(wanted_pulls).where(*_wish(pulls, type, next_at)))


def _wish(pulls: Wanted, type: str, next_at: datetime) -> Sequence[ColumnElement[bool]]:
    place = [wanted_pulls.c.tenant == pulls.tenant, wanted_pulls.c.hospital == pulls.hospital]
    return [*place, wanted_pulls.c.type == type, wanted_pulls.c.next_at == next_at]


def _at(tenant: str, name: str) -> Sequence[ColumnElement[bool]]:
    return [table.c.tenant == tenant, table.c.name == name]


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Schedule.__slots__))


def _schedule(*row: Any) -> Schedule:
    values = dict(zip(Schedule.__slots__, row, strict=True))
    values["hospitals"] = None if values["hospitals"] is None else tuple(documents.loads(values["hospitals"]))
    return Schedule(**values)
