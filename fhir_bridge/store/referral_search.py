"""One sender's referrals found by what they are called, whose they are, where they stand and when they changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, false, or_, select, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.referral_tables import referral_names as names
from fhir_bridge.store.referral_tables import referrals
from fhir_bridge.store.referrals import Standing

_NEWER = referrals.alias("newer")


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier of one of a referral's resources, `kind` being its type."""

    kind: str
    system: str
    value: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column has one of these values."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """The time is at or after `start` and before `end`, where they are given; with `outside`, known and not so."""

    column: str
    start: datetime | None = None
    end: datetime | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """The resource of this type has this identifier; `system` None is any."""

    kind: str
    system: str | None
    value: str


Condition = OneOf | Within | Named
#: any of these
AnyOf = tuple[Condition, ...]


def found(
    tx: Transaction, tenant: str, client: str, wanted: Iterable[AnyOf], *,
    after: tuple[datetime, str] | None = None, newest_first: bool = True, once: bool = False, limit: int = 50,
) -> list[Standing]:  # fmt: skip
    """The sender's referrals that answer all of `wanted`, by their last change; `after` the last one seen continues.

    With `once`, of each patient's referrals only the one that changed last is looked at.
    """
    where = [referrals.c.tenant == tenant, referrals.c.client == client]
    where += [or_(*(_clause(tenant, client, each) for each in one)) if one else false() for one in wanted]
    if once:
        where.append(~_changed_later(tenant, client))
    if after:
        where.append(_beyond(after, newest_first=newest_first))
    order = [column.desc() if newest_first else column.asc() for column in (referrals.c.updated_at, referrals.c.id)]
    chosen = select(*(referrals.c[name] for name in Standing.__slots__)).where(*where)
    return tx.every(Standing, chosen.order_by(*order).limit(limit))


def name(tx: Transaction, tenant: str, client: str, referral: str, called: Iterable[Name]) -> None:
    """Its resources are called so."""
    rows = [
        {"tenant": tenant, "client": client, "kind": one.kind, "value": one.value, "system": one.system, "referral": referral}
        for one in dict.fromkeys(called)
    ]
    tx.insert_or_ignore_all(names, rows)


def follow(
    tx: Transaction, tenant: str, id: str, *, called: Sequence[Name], status: str, patient: str, authored_at: datetime | None, now: datetime
) -> None:
    """The referral has another version since `now`; nothing happens for one that no hospital sent."""
    ours = (referrals.c.tenant == tenant, referrals.c.id == id)
    moved = update(referrals).where(*ours).values(status=status, patient=patient, authored_at=authored_at, updated_at=now)
    if tx.execute(moved).rowcount:
        tx.execute(delete(names).where(names.c.tenant == tenant, names.c.referral == id))
        (client,) = tx.execute(select(referrals.c.client).where(*ours)).one()
        name(tx, tenant, client, id, called)


def _clause(tenant: str, client: str, one: Condition) -> ColumnElement[bool]:
    match one:
        case OneOf(column, values):
            return referrals.c[column].in_(values)
        case Named(kind, system, value):
            of = [names.c.tenant == tenant, names.c.client == client, names.c.kind == kind, names.c.value == value]
            of += [names.c.system == system] if system is not None else []
            return referrals.c.id.in_(select(names.c.referral).where(*of))
        case Within(column, start, end, outside):
            time = referrals.c[column]
            bounds = ([time >= start] if start else []) + ([time < end] if end else [])
            inside: Any = and_(*bounds) if bounds else time.is_not(None)
            return and_(time.is_not(None), ~inside) if outside else inside


def _beyond(after: tuple[datetime, str], *, newest_first: bool) -> ColumnElement[bool]:
    at, id = referrals.c.updated_at, referrals.c.id
    if newest_first:
        return or_(at < after[0], and_(at == after[0], id < after[1]))
    return or_(at > after[0], and_(at == after[0], id > after[1]))


def _changed_later(tenant: str, client: str) -> ColumnElement[bool]:
    later = or_(
        _NEWER.c.updated_at > referrals.c.updated_at,
        and_(_NEWER.c.updated_at == referrals.c.updated_at, _NEWER.c.id > referrals.c.id),
    )
    return exists().where(_NEWER.c.tenant == tenant, _NEWER.c.client == client, _NEWER.c.patient == referrals.c.patient, later)
