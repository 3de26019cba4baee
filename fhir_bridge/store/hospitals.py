"""What every worker must agree on about a hospital: the breaker, the pause, and what its server last said it can do.

An outage is the hospital's fault, not the delivery's. The breaker opens after `LIMIT` failures in a row, or when half of the
last `WINDOW` calls failed; while it is open no lane of the hospital is leased. At `retry_at` it is half open: one lane is leased
as a probe, and its success closes the breaker, its failure opens it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, or_, select, update

from fhir_bridge.faults import fault_point
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared, narrowed
from fhir_bridge.store.tables import hospitals as table
from fhir_bridge.store.tables import statements

LIMIT = 5
WINDOW = 20


@dataclass(frozen=True, slots=True)
class Hospital:
    """`recent` are the last calls since the last failure-free window, `F` failed and `S` succeeded, the newest last."""

    tenant: str
    hospital: str
    failures: int = 0
    recent: str = ""
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    why_open: str | None = None
    probe_lane: str | None = None
    probe_until: datetime | None = None
    paused_at: datetime | None = None
    paused_by: str | None = None
    paused_why: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A hospital's CapabilityStatement as fetched, and the one it replaced, if it ever changed. `sha256` hex, of the caller's choice."""

    statement: bytes
    sha256: str
    fetched_at: datetime
    previous: bytes | None = None
    changed_at: datetime | None = None


def of(tx: Transaction, tenant: str, hospital: str) -> Hospital:
    """The hospital's state; a hospital never heard of is closed and not paused."""
    return tx.one(Hospital, _state(), this_tenant=tenant, this_hospital=hospital) or Hospital(tenant, hospital)


def listing(tx: Transaction, tenant: str | None = None) -> list[Hospital]:
    """Every hospital something was ever enqueued for or said about."""
    found = _select().order_by(table.c.tenant, table.c.hospital)
    return tx.every(Hospital, found.where(table.c.tenant == tenant) if tenant else found)


def know(tx: Transaction, tenant: str, hospital: str) -> None:
    """Makes sure that the hospital has a row."""
    tx.insert_or_ignore(table, tenant=tenant, hospital=hospital)


def failed(tx: Transaction, tenant: str, hospital: str, *, wait: timedelta, why: str, now: datetime) -> Hospital:
    """Counts a connectivity failure; opens the breaker until `now + wait` at the limit, or again when a probe failed."""
    before = _locked(tx, tenant, hospital)
    failures, recent = before.failures + 1, (before.recent + "F")[-WINDOW:]
    _set(tx, tenant, hospital, failures=failures, recent=recent)
    tripped = before.opened_at or failures >= LIMIT or (len(recent) == WINDOW and recent.count("F") * 2 >= WINDOW)
    return trip(tx, tenant, hospital, until=now + wait, why=why, now=now) if tripped else of(tx, tenant, hospital)


def trip(tx: Transaction, tenant: str, hospital: str, *, until: datetime, why: str, now: datetime) -> Hospital:
    """Opens the breaker at once until `until` (refused sign-in, 403, Retry-After): `why` is a word for people, without values."""
    before = _locked(tx, tenant, hospital)
    fault_point("O14")
    opened = before.opened_at or now
    _set(tx, tenant, hospital, opened_at=opened, retry_at=until, why_open=why, probe_lane=None, probe_until=None)
    return of(tx, tenant, hospital)


def succeeded(tx: Transaction, tenant: str, hospital: str) -> None:
    """The hospital answered: closes the breaker. Writes nothing when nothing had failed, so that workers do not queue for one row."""
    before = of(tx, tenant, hospital)
    if not before.recent and before.opened_at is None:
        return
    before = _locked(tx, tenant, hospital)
    recent = (before.recent + "S")[-WINDOW:]
    closed = dict.fromkeys(("opened_at", "retry_at", "why_open", "probe_lane", "probe_until"))
    # a probe's success forgives the outage; otherwise one closed breaker would open again at the next failure
    still = recent if before.opened_at is None and "F" in recent else ""
    _set(tx, tenant, hospital, failures=0, recent=still, **closed)


def pause(tx: Transaction, tenant: str, hospital: str, *, who: str, why: str, now: datetime) -> None:
    """No lane of the hospital is leased until `resume`. A second pause keeps the first."""
    if _locked(tx, tenant, hospital).paused_at is None:
        _set(tx, tenant, hospital, paused_at=now, paused_by=who, paused_why=why)


def resume(tx: Transaction, tenant: str, hospital: str) -> bool:
    """Ends the pause; False when there was none."""
    paused = _locked(tx, tenant, hospital).paused_at is not None
    _set(tx, tenant, hospital, paused_at=None, paused_by=None, paused_why=None)
    return paused


def statement(tx: Transaction, tenant: str, hospital: str) -> Statement | None:
    """What the hospital's server last said it can do; None when it was never asked."""
    found = select(*(statements.c[name] for name in Statement.__slots__))
    return tx.one(Statement, found.where(statements.c.tenant == tenant, statements.c.hospital == hospital))


def keep_statement(tx: Transaction, tenant: str, hospital: str, *, statement: bytes, sha256: str, now: datetime) -> Statement:
    """Keeps what was fetched; if its hash differs from the last one, the last one becomes `previous`, for a diff."""
    before = _last_statement(tx, tenant, hospital)
    if before is None:
        kept = Statement(statement, sha256, now)
    elif before.sha256 == sha256:
        kept = Statement(statement, sha256, now, before.previous, before.changed_at)
    else:
        kept = Statement(statement, sha256, now, before.statement, now)
    tx.upsert(statements, tenant=tenant, hospital=hospital, **{name: getattr(kept, name) for name in Statement.__slots__})
    return kept


_last_statement = statement  # keep_statement's parameter has the function's name


def callable_at(now: datetime | BindParameter[datetime]) -> Sequence[ColumnElement[bool]]:
    """Hospitals that may be called: not paused, and closed, or half open without a running probe."""
    half_open = (table.c.retry_at <= now) & or_(table.c.probe_until.is_(None), table.c.probe_until <= now)
    return [table.c.paused_at.is_(None), or_(table.c.opened_at.is_(None), half_open)]


def probe(tx: Transaction, tenant: str, hospital: str, *, lane: str, until: datetime, now: datetime) -> bool:
    """Claims the half-open hospital's one probe for a lane; False when another worker was first."""
    claimed = update(table).where(*_at(tenant, hospital), *callable_at(now), table.c.opened_at.is_not(None))
    return tx.execute(claimed.values(probe_lane=lane, probe_until=until)).rowcount == 1


def end_probe(tx: Transaction, tenant: str, hospital: str, *, lane: str) -> None:
    """The probing lane was given back; the next one may probe."""
    tx.run(_unclaiming(), this_tenant=tenant, this_hospital=hospital, this_lane=lane, probe_lane=None, probe_until=None)


def _locked(tx: Transaction, tenant: str, hospital: str) -> Hospital:
    know(tx, tenant, hospital)
    return tx.one(Hospital, _select().where(*_at(tenant, hospital)).with_for_update(key_share=True)) or Hospital(tenant, hospital)


def _set(tx: Transaction, tenant: str, hospital: str, **values: object) -> None:
    tx.execute(update(table).where(*_at(tenant, hospital)).values(**values))


def _at(tenant: str, hospital: str) -> Sequence[ColumnElement[bool]]:
    return [table.c.tenant == tenant, table.c.hospital == hospital]


@cache
def _state() -> Prepared:
    return Prepared(_select().where(*narrowed(table, "tenant", "hospital")))


@cache
def _unclaiming() -> Prepared:
    return Prepared(update(table).where(*narrowed(table, "tenant", "hospital"), table.c.probe_lane == bindparam("this_lane")))


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Hospital.__slots__))
