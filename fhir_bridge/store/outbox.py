"""The outbox: what must reach a hospital, in order, once in effect. This module is its door; lanes and leases are in `lanes`.

    pending -> sending -> delivered
                 |-> ambiguous (an attempt without an outcome) -> delivered | pending, after a look at the hospital
                 |-> retry_wait(next_at) -> sending
                 |-> dead(reason) -> [replay] pending | [discard] discarded
    pending, retry_wait, dead -> superseded (a newer version of the same record)

A delivery carries a whole version of a record, so a newer version takes the place of one that is not on its way. Within a lane
deliveries run in `seq` order, one at a time; one that waits or is dead holds back later ones of its own record and no others.
"""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    String,
    Table,
    bindparam,
    case,
    exists,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from fhir_bridge.errors import BridgeError
from fhir_bridge.faults import fault_point
from fhir_bridge.store import hospitals, lanes
from fhir_bridge.store.among import in_words
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.lanes import LeaseLost, due, holds, lease, lease_lane, release, renew
from fhir_bridge.store.prepared import Prepared, narrowed
from fhir_bridge.store.rows import Attempt, Delivery, Lease
from fhir_bridge.store.tables import archived_attempts, archived_deliveries, attempts, deliveries
from fhir_bridge.store.tables import hospitals as hospitals_table
from fhir_bridge.store.tables import lanes as lanes_table

__all__ = [
    "Attempt",
    "Delivery",
    "Lease",
    "LeaseLost",
    "StillOpen",
    "attempts_of",
    "begin_attempt",
    "due",
    "enqueue",
    "finish_attempt",
    "holds",
    "lease",
    "lease_lane",
    "next_delivery",
    "of_record",
    "open_attempt",
    "release",
    "renew",
    "settle",
]

CLOSED = ("delivered", "discarded", "superseded")
_IDENTITY = ("tenant", "hospital", "lane", "kind", "record_id", "version")


class StillOpen(BridgeError):
    """A delivery with an attempt whose outcome nobody knows can only be ambiguous: finish the attempt first."""


def enqueue(
    tx: Transaction, *, tenant: str, hospital: str, lane: str, kind: str, record_id: str, version: int, now: datetime, alone: bool = False
) -> Delivery:
    """Puts a stored version of a record on its way; older versions not on their way are superseded.

    `lane` names the patient without telling anything about them. The lane's row stays locked until the commit, so that `seq`
    is the order of commits. A version older than one enqueued before is superseded at once. `alone`: nothing of this version
    or an older one was ever enqueued, as of a first version that was stored just now.
    """
    seq = _next_seq(tx, tenant, hospital, lane, now)
    this = {"this_tenant": tenant, "this_hospital": hospital, "this_kind": kind, "this_record_id": record_id, "this_version": version}
    if not alone:
        tx.run(_supersede(), **this, state="superseded", next_at=None, changed_at=now, closed_at=now)
    (added,) = tx.run(_add(), **this, this_lane=lane, seq=seq, now=now).rows
    return Delivery(*added)


def next_delivery(tx: Transaction, lease: Lease, now: datetime) -> Delivery | None:
    """The first delivery of the lane that may run now: `pending`, `ambiguous` (look first), or `retry_wait` whose time has come.

    Held back: what has an earlier version of the same record still open before it. None: release the lane.
    """
    return tx.one(Delivery, _next(), **lanes.named(lease), now=now)


def open_attempt(tx: Transaction, delivery: Delivery) -> Attempt | None:
    """The attempt whose outcome nobody knows; a delivery that has one is verified at the hospital before anything is sent."""
    return tx.one(Attempt, _open(), **_named(delivery))


def in_flight(tx: Transaction, tenant: str, hospital: str, lane: str) -> tuple[str, str, int] | None:
    """(kind, id, version) of the record of the lane whose call has no outcome yet: a lane has at most one."""
    here = {"this_tenant": tenant, "this_hospital": hospital, "this_lane": lane}
    row = tx.first(_flying(), **here)
    return (row[0], row[1], row[2]) if row else None


def attempts_of(tx: Transaction, delivery: Delivery) -> list[Attempt]:
    """Every attempt of the delivery, the first first."""
    found = (select(*(table.c[name] for name in Attempt.__slots__)).where(*_of(table, delivery)) for table in (attempts, archived_attempts))
    return tx.every(Attempt, union_all(*found).order_by("number"))


def begin_attempt(tx: Transaction, lease: Lease, delivery: Delivery, *, step: str, request_id: str, body_sha256: str) -> Attempt | None:
    """Writes down that a call is about to be made; commit before the first byte leaves.

    None when the delivery was superseded meanwhile: ask `next_delivery` again. Raises `LeaseLost`, `StillOpen`.
    """
    lanes.hold(tx, lease)
    if open_attempt(tx, delivery):
        raise StillOpen("the last attempt of this delivery has no outcome; verify it first")
    now = tx.now
    row = tx.first(_starting(), **_named(delivery), now=now)
    if row is None:
        return None
    attempt = Attempt(
        lease.tenant, lease.hospital, lease.lane, delivery.seq, row[0], step, request_id, body_sha256, lease.worker, lease.token, now
    )
    tx.run(_begun(), **{name: getattr(attempt, name) for name in Attempt.__slots__})
    return attempt


def finish_attempt(tx: Transaction, lease: Lease, attempt: Attempt, outcome: str, detail: bytes | None = None) -> None:
    """Writes an attempt's outcome, once: a short word, and the caller's JSON. A later holder of the lane may do so after verifying.

    Raises `LeaseLost`; `StillOpen` never, but `ValueError` when the attempt has an outcome already (evidence is not rewritten).
    """
    lanes.hold(tx, lease)
    ended = {"outcome": outcome, "detail": detail, "ended_at": tx.now}
    if tx.run(_ending(), **_named(attempt), this_number=attempt.number, **ended).rowcount == 0:
        raise ValueError("the attempt has an outcome already")


def settle(
    tx: Transaction,
    lease: Lease,
    delivery: Delivery,
    *,
    state: str,
    reason: str | None = None,
    detail: bytes | None = None,
    next_at: datetime | None = None,
    counted: bool = True,
) -> bool:
    """Moves a delivery on: delivered, dead(reason), retry_wait(next_at), ambiguous(next_at?) or pending (verified: not there).

    `counted=False`: a wait that is the hospital's fault, not counted in `retries`. False when the delivery was superseded
    meanwhile, and nothing was written. Raises `LeaseLost`, and `StillOpen` for any state but ambiguous.
    """
    lanes.hold(tx, lease)
    if state != "ambiguous" and open_attempt(tx, delivery):
        raise StillOpen("the last attempt of this delivery has no outcome; finish it first")
    now = tx.now
    written = tx.run(
        _moving(), **_named(delivery), state=state, reason=reason, detail=detail, next_at=next_at, changed_at=now,
        closed_at=now if state in CLOSED else None, more_retries=int(counted and state == "retry_wait"),
    ).rowcount == 1  # fmt: skip
    fault_point("O9")
    lanes.refresh(tx, lease)
    lanes.wake_others(tx, delivery)
    return written


def of_record(tx: Transaction, tenant: str, kind: str, record_id: str) -> list[Delivery]:
    """Every delivery of a record to any hospital, by hospital, then version; archived ones too."""
    found = (
        select(*(table.c[name] for name in Delivery.__slots__)).where(
            table.c.tenant == tenant, table.c.kind == kind, table.c.record_id == record_id
        )
        for table in (deliveries, archived_deliveries)
    )
    return tx.every(Delivery, union_all(*found).order_by("hospital", "version", "created_at", "seq"))


def delivered_with(tx: Transaction, lane: Delivery, *, reason: str) -> list[Delivery]:
    """The lane's records whose newest delivery is delivered and says `reason`, in order."""
    return tx.every(Delivery, _saying(), **lanes.named(lane), reason=reason)


# What follows is run for every record, and SQLAlchemy takes longer to build it than the database to run it: built once.


@cache
def _add() -> Prepared:
    """A delivery, superseded at once when one of a newer version of the record is there, archived or not."""
    newer = (
        exists().where(*_of_this_record(table), table.c.version > bindparam("this_version")) for table in (deliveries, archived_deliveries)
    )
    late, now = or_(*newer), bindparam("now", type_=deliveries.c.created_at.type)
    values: dict[str, Any] = {name: bindparam(f"this_{name}", type_=deliveries.c[name].type) for name in _IDENTITY}
    values |= {"seq": bindparam("seq"), "created_at": now, "changed_at": now}
    values |= {"state": case((late, literal("superseded")), else_=literal("pending")), "closed_at": case((late, now))}
    return Prepared(insert(deliveries).values(values).returning(*_columns()))


@cache
def _next() -> Prepared:
    due = or_(deliveries.c.next_at.is_(None), deliveries.c.next_at <= bindparam("now"))
    found = select(*_columns()).where(*lanes.this(deliveries), *lanes.unblocked(), due)
    return Prepared(found.order_by(deliveries.c.seq).limit(1))


@cache
def _saying() -> Prepared:
    newer = deliveries.alias("newer")
    same = [newer.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "lane", "kind", "record_id")]
    overtaken = exists().where(*same, newer.c.seq > deliveries.c.seq, newer.c.state != "superseded")
    said = [deliveries.c.state == "delivered", deliveries.c.reason == bindparam("reason")]
    return Prepared(select(*_columns()).where(*lanes.this(deliveries), *said, ~overtaken).order_by(deliveries.c.seq))


@cache
def _open() -> Prepared:
    columns = (attempts.c[name] for name in Attempt.__slots__)
    return Prepared(select(*columns).where(*_this(attempts), attempts.c.outcome.is_(None)))


@cache
def _starting() -> Prepared:
    startable = update(deliveries).where(*_this(deliveries), in_words(deliveries.c.state, "pending", "retry_wait", "sending"))
    started = {"state": "sending", "reason": None, "next_at": None, "attempts": deliveries.c.attempts + 1}
    now = bindparam("now", type_=deliveries.c.changed_at.type)
    return Prepared(startable.values(**started, changed_at=now).returning(deliveries.c.attempts))


@cache
def _begun() -> Prepared:
    return Prepared(insert(attempts))


@cache
def _ending() -> Prepared:
    this = [*_this(attempts), attempts.c.number == bindparam("this_number")]
    return Prepared(update(attempts).where(*this, attempts.c.outcome.is_(None)))


@cache
def _moving() -> Prepared:
    retries = deliveries.c.retries + bindparam("more_retries", type_=deliveries.c.retries.type)
    return Prepared(update(deliveries).where(*_this(deliveries), deliveries.c.closed_at.is_(None)).values(retries=retries))


@cache
def _flying() -> Prepared:
    same = [attempts.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "lane", "seq")]
    found = select(deliveries.c.kind, deliveries.c.record_id, deliveries.c.version)
    return Prepared(found.where(*same, *lanes.this(attempts), attempts.c.outcome.is_(None)))


@cache
def _supersede() -> Prepared:
    """The deliveries of this version and older ones that are not on their way."""
    waiting = in_words(deliveries.c.state, "pending", "retry_wait", "dead")
    older = deliveries.c.version <= bindparam("this_version")
    return Prepared(update(deliveries).where(*_of_this_record(deliveries), deliveries.c.closed_at.is_(None), older, waiting))


def _of_this_record(table: Table) -> list[ColumnElement[bool]]:
    return narrowed(table, "tenant", "hospital", "kind", "record_id")


def _next_seq(tx: Transaction, tenant: str, hospital: str, lane: str, now: datetime) -> int:
    taken = _take_seq(tx, tenant, hospital, lane, now)
    if taken is None:
        hospitals.know(tx, tenant, hospital)
        taken = _take_seq(tx, tenant, hospital, lane, now)
    assert taken is not None, "the lane was just made"  # noqa: S101
    return taken


def _take_seq(tx: Transaction, tenant: str, hospital: str, lane: str, now: datetime) -> int | None:
    rows = tx.run(_taking(tx.on_postgresql), this_tenant=tenant, this_hospital=hospital, this_lane=lane, now=now).rows
    return rows[0][0] if rows else None


@cache
def _taking(on_postgresql: bool) -> Prepared:
    """The lane's next number; the lane is made if it is new, and due now, or was before. No row for a hospital not known yet."""
    insert_ = (postgresql.insert if on_postgresql else sqlite.insert)(lanes_table)
    now = bindparam("now", type_=lanes_table.c.due_at.type)
    hospital = narrowed(hospitals_table, "tenant", "hospital")
    lane = bindparam("this_lane", type_=String)
    first = select(hospitals_table.c.tenant, hospitals_table.c.hospital, lane, literal(2), now).where(*hospital)
    due = case((lanes_table.c.due_at < now, lanes_table.c.due_at), else_=now)
    return Prepared(
        insert_.from_select(["tenant", "hospital", "lane", "next_seq", "due_at"], first)
        .on_conflict_do_update(index_elements=lanes_table.primary_key, set_={"next_seq": lanes_table.c.next_seq + 1, "due_at": due})
        .returning(lanes_table.c.next_seq - 1)
    )


def _of(table: Table, one: Delivery | Attempt) -> list[ColumnElement[bool]]:
    return [*lanes.at(table, one), table.c.seq == one.seq]


def _this(table: Table) -> list[ColumnElement[bool]]:
    """`table` narrowed to the delivery that is named when the statement is run, by `_named`."""
    return narrowed(table, "tenant", "hospital", "lane", "seq")


def _named(one: Delivery | Attempt) -> dict[str, Any]:
    return {**lanes.named(one), "this_seq": one.seq}


def _columns() -> list[Column[Any]]:
    return [deliveries.c[name] for name in Delivery.__slots__]
