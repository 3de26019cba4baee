"""The runs of syncs: who started what, when it began and ended, and what became of it. Two runs never do the same at once.

A run is a lease on its work: on each kind of work at each of its hospitals. It says again and again that it lives (`renew`);
when it has not for too long, the next one to look writes it down as broken off. Its number only grows and is its fencing token:
a run that was broken off, and lives after all, can neither renew nor end what is not its own any more. All times are the database's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.schedule_tables import run_heads
from fhir_bridge.store.schedule_tables import runs as table

KEPT = timedelta(days=90)  # of history
WORKS = {"push": ("push",), "pull": ("pull",), "both": ("pull", "push"), "reconcile": ("reconcile",), "archive": ("archive",)}
ALSO = {"reconcile": ("pull",)}  # work that is done within another


class Busy(BridgeError):
    """Another run does the same work at the same hospital right now; `run` is it."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        by = f"schedule {run.schedule}" if run.schedule else run.actor
        super().__init__(f"run {run.number} ({run.what}, by {by}) is doing this since {run.started_at.isoformat()}; wait for its end")


class RunLost(BridgeError):
    """The run was written down as broken off, because it gave no sign of life; it must write nothing more."""


@dataclass(frozen=True, slots=True)
class Order:
    """A run that is to begin. `hospitals` is empty for work that concerns none. `due_at`: the scheduled time it answers."""

    tenant: str
    what: str
    hospitals: tuple[str, ...]
    actor: str
    schedule: str | None = None
    due_at: datetime | None = None
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `report` is the caller's JSON; `outcome` is None while it runs, then done, failed, stopped or broken-off."""

    tenant: str
    number: int
    schedule: str | None
    actor: str
    what: str
    hospitals: tuple[str, ...]
    due_at: datetime | None
    missed: int
    worker: str
    started_at: datetime
    lease_until: datetime | None
    ended_at: datetime | None
    outcome: str | None
    report: bytes

    @property
    def work(self) -> frozenset[tuple[str, str]]:
        """(kind of work, hospital): what no other run may do meanwhile."""
        return work(self.what, self.hospitals)


def work(what: str, hospitals: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((each, hospital) for each in (*WORKS[what], *ALSO.get(what, ())) for hospital in hospitals or ("",))


def hold(tx: Transaction, tenant: str) -> int:
    """Puts this transaction in the line of those that start runs or change schedules of the site; the newest run's number."""
    tx.insert_or_ignore(run_heads, tenant=tenant, number=0)
    held = select(run_heads.c.number).where(run_heads.c.tenant == tenant).with_for_update()
    return int(tx.execute(held).scalar_one())


def begin(tx: Transaction, order: Order, *, worker: str, seconds: float) -> Run:
    """A new run, under way for `seconds` from now. Raises `Busy`."""
    return start(tx, order, now=claim(tx, order), worker=worker, seconds=seconds)


def claim(tx: Transaction, order: Order) -> datetime:
    """Nobody does the same now, nor will before this transaction ends; the time, which is after the end of all that did. Raises `Busy`."""
    hold(tx, order.tenant)
    break_off(tx, order.tenant, tx.now)
    for other in running(tx, order.tenant):
        if other.work & work(order.what, order.hospitals):
            raise Busy(other)
    return tx.now


def start(tx: Transaction, order: Order, *, now: datetime, worker: str, seconds: float) -> Run:
    """The new run of what was claimed at `now`."""
    number = hold(tx, order.tenant) + 1
    run = Run(
        order.tenant, number, order.schedule, order.actor, order.what, order.hospitals, order.due_at, order.missed, worker,
        started_at=now, lease_until=now + timedelta(seconds=seconds), ended_at=None, outcome=None, report=b"[]",
    )  # fmt: skip
    values = {name: getattr(run, name) for name in Run.__slots__} | {"hospitals": documents.dumps(list(order.hospitals))}
    tx.execute(insert(table).values(**values))
    tx.execute(update(run_heads).where(run_heads.c.tenant == order.tenant).values(number=number))
    tx.execute(delete(table).where(table.c.tenant == order.tenant, table.c.number < number, table.c.ended_at < now - KEPT))
    return run


def renew(tx: Transaction, run: Run, *, seconds: float, report: bytes | None = None) -> None:
    """It lives, for `seconds` more, and has got as far as `report`. Raises `RunLost`."""
    values: dict[str, Any] = {"lease_until": tx.now + timedelta(seconds=seconds)} | ({"report": report} if report is not None else {})
    _written(tx, run, **values)


def end(tx: Transaction, run: Run, *, outcome: str, report: bytes) -> None:
    """It ended by itself. Raises `RunLost`."""
    _written(tx, run, ended_at=tx.now, lease_until=None, outcome=outcome, report=report)


def break_off(tx: Transaction, tenant: str, now: datetime) -> int:
    """Writes down the end of the site's runs that gave no sign of life in time; how many. What they had reported stays."""
    silent = [table.c.tenant == tenant, table.c.ended_at.is_(None), table.c.lease_until <= now]
    return tx.execute(update(table).where(*silent).values(ended_at=now, lease_until=None, outcome="broken-off")).rowcount


def silent(tx: Transaction, now: datetime) -> list[str]:
    """The sites with a run that gave no sign of life in time."""
    found = select(table.c.tenant).where(table.c.ended_at.is_(None), table.c.lease_until <= now)
    return [row[0] for row in tx.rows(found.distinct().order_by(table.c.tenant))]


def running(tx: Transaction, tenant: str) -> list[Run]:
    """The site's runs that have not ended, the oldest first."""
    return tx.every(_run, _select().where(table.c.tenant == tenant, table.c.ended_at.is_(None)).order_by(table.c.number))


def one(tx: Transaction, tenant: str, number: int) -> Run | None:
    return tx.one(_run, _select().where(table.c.tenant == tenant, table.c.number == number))


def history(tx: Transaction, tenant: str, *, schedule: str | None = None, before: int | None = None, limit: int = 20) -> list[Run]:
    """A page of the site's runs, the newest first; those of one schedule, when named. `before`: the last number of the page before."""
    wanted = [table.c.tenant == tenant]
    wanted += [table.c.schedule == schedule] if schedule else []
    wanted += [table.c.number < before] if before is not None else []
    return tx.every(_run, _select().where(*wanted).order_by(table.c.number.desc()).limit(limit))


def _written(tx: Transaction, run: Run, **values: Any) -> None:
    own = [table.c.tenant == run.tenant, table.c.number == run.number, table.c.ended_at.is_(None)]
    if tx.execute(update(table).where(*own).values(**values)).rowcount == 0:
        raise RunLost(f"run {run.number} was written down as broken off")


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Run.__slots__))


def _run(*row: Any) -> Run:
    values = dict(zip(Run.__slots__, row, strict=True))
    return Run(**values | {"hospitals": tuple(documents.loads(values["hospitals"]))})
