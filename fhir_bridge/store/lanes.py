"""A lane is one patient's queue to one hospital; a worker leases the lane, works outside any transaction, and gives it back.

A lease is a number (`token`) that only grows. Whoever finishes something holds the lane's row and shows the token of the newest
lease; a worker that was stopped past its lease finds another number there and writes nothing. All lease times are the database's.

Rows are locked FOR NO KEY UPDATE (`key_share`), as hospitals' are: their keys never change. A stronger lock would make whoever writes a
row that refers to them wait, and two workers at the end of their deliveries wait for each other.

`due_at` is when the lane next has something to do, None when it has nothing. Whatever opens, closes or delays a delivery
refreshes it; too early is harmless (a lease that finds nothing), too late never happens, because both hold the lane's row.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import BindParameter, ColumnElement, Table, and_, bindparam, case, exists, func, literal, or_, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.faults import fault_point
from fhir_bridge.store import hospitals
from fhir_bridge.store.among import in_words
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared, narrowed
from fhir_bridge.store.rows import Attempt, Delivery, Lease
from fhir_bridge.store.tables import attempts, deliveries
from fhir_bridge.store.tables import hospitals as hospitals_table
from fhir_bridge.store.tables import lanes as lanes_table

InLane = Lease | Delivery | Attempt


class LeaseLost(BridgeError):
    """Another worker holds the lane, or nobody does: write nothing more, ask for a lease again."""


def lease(tx: Transaction, *, worker: str, seconds: float, hospital: str | None = None) -> Lease | None:
    """The free lane that has been due the longest, of the hospital whose oldest is oldest; None when there is nothing to do.

    Left out: paused hospitals, open breakers (but for one probe when half open). What the last holder left behind unfinished
    becomes ambiguous, and is counted as a worker's death.
    """
    now = tx.now
    until = now + timedelta(seconds=seconds)
    for tenant, name, half_open in _hospitals_with_work(tx, now, hospital):
        lane = _free_lane(tx, now, tenant, name)
        if lane is not None and (taken := _leased(tx, Lease(tenant, name, lane, 0, until, worker, half_open), now)):
            return taken
    return None


def lease_lane(tx: Transaction, *, tenant: str, hospital: str, lane: str, worker: str, seconds: float) -> Lease | None:
    """This very lane, under the same conditions as `lease`; None when it is not due, not free, or its hospital may not be called.

    It waits for the lane's row instead of passing by: whoever holds it is about to commit work for the lane, and relies on a
    call to work that was given before.
    """
    wanted = Lease(tenant, hospital, lane, 0, tx.now, worker)
    tx.first(select(lanes_table.c.token).where(*at(lanes_table, wanted)).with_for_update(key_share=True))
    now = tx.now
    here = and_(hospitals_table.c.tenant == lanes_table.c.tenant, hospitals_table.c.hospital == lanes_table.c.hospital)
    found = select(hospitals_table.c.opened_at.is_not(None)).join(lanes_table, here)
    row = tx.first(found.where(*at(lanes_table, wanted), *_free(now), *hospitals.callable_at(now)))
    return None if row is None else _leased(tx, replace(wanted, until=now + timedelta(seconds=seconds), probe=bool(row[0])), now)


def due(tx: Transaction, *, limit: int, at: tuple[str, str] | None = None, since: datetime | None = None) -> list[tuple[str, str, str]]:
    """(tenant, hospital, lane) of up to `limit` free lanes that `lease` would give, each hospital's longest due first.

    Of a hospital whose breaker is half open, one: the others would find the probe taken. `at`: one (tenant, hospital) only;
    `since`: only what has been due since then.
    """
    now, found = tx.now, list[tuple[str, str, str]]()
    for tenant, name, half_open in _hospitals_with_work(tx, now, at[1] if at else None):
        if at and tenant != at[0]:
            continue
        lanes = select(lanes_table.c.lane).where(lanes_table.c.tenant == tenant, lanes_table.c.hospital == name, *_free(now))
        lanes = lanes.where(lanes_table.c.due_at <= since) if since else lanes
        rows = tx.rows(lanes.order_by(lanes_table.c.due_at).limit(1 if half_open else limit - len(found)))
        found += [(tenant, name, row[0]) for row in rows]
    return found


def renew(tx: Transaction, lease: Lease, *, seconds: float) -> Lease:
    """The same lease, until later. Raises `LeaseLost`."""
    hold(tx, lease)
    until = tx.now + timedelta(seconds=seconds)
    fault_point("O13")
    tx.execute(update(lanes_table).where(*at(lanes_table, lease)).values(lease_until=until))
    return replace(lease, until=until)


def holds(tx: Transaction, lease: Lease) -> bool:
    """Whether the lane was not given back yet; it may pass on the moment this was read. Raises `LeaseLost` when it has."""
    row = tx.first(_until(), **named(lease), this_token=lease.token)
    if row is None:
        raise LeaseLost("the lease of this lane has passed to another worker")
    return row[0] is not None


def release(tx: Transaction, lease: Lease) -> None:
    """Gives the lane back at once. Raises `LeaseLost`."""
    hold(tx, lease)
    _leave_behind(tx, lease, died=False)
    tx.run(_giving_back(), **named(lease), lease_until=None, lease_worker=None)
    hospitals.end_probe(tx, lease.tenant, lease.hospital, lane=lease.lane)
    refresh(tx, lease)


def hold(tx: Transaction, lease: Lease) -> None:
    """Locks the lane's row until the transaction ends, if the lease is still the newest. Raises `LeaseLost`."""
    if tx.first(_newest(), **named(lease), this_token=lease.token) is None:
        raise LeaseLost("the lease of this lane has passed to another worker")


def refresh(tx: Transaction, lane: InLane) -> None:
    """Works out anew when the lane is due. The caller holds its row."""
    tx.run(_refreshing(), **named(lane))


def wake_others(tx: Transaction, delivery: Delivery) -> None:
    """A record that moved to another patient waits in that patient's lane for this delivery: let it look again."""
    tx.run(_waking(), **named(delivery), this_kind=delivery.kind, this_record_id=delivery.record_id, due_at=tx.now)


# What follows is run for every delivery, and SQLAlchemy takes longer to build it than the database to run it: built once.


@cache
def _newest() -> Prepared:
    """The lane, if `this_token` is still its newest lease and not given back."""
    held = [lanes_table.c.token == bindparam("this_token"), lanes_table.c.lease_until.is_not(None)]
    return Prepared(select(lanes_table.c.token).where(*this(lanes_table), *held).with_for_update(key_share=True))


@cache
def _until() -> Prepared:
    return Prepared(select(lanes_table.c.lease_until).where(*this(lanes_table), lanes_table.c.token == bindparam("this_token")))


@cache
def _giving_back() -> Prepared:
    return Prepared(update(lanes_table).where(*this(lanes_table)))


@cache
def _refreshing() -> Prepared:
    due = select(func.min(func.coalesce(deliveries.c.next_at, deliveries.c.created_at))).where(*this(deliveries), *unblocked())
    return Prepared(update(lanes_table).where(*this(lanes_table)).values(due_at=due.scalar_subquery()))


@cache
def _waking() -> Prepared:
    """The other lanes in which the record waits."""
    same = narrowed(deliveries, "tenant", "hospital", "kind", "record_id")
    waiting = select(deliveries.c.lane).where(*same, deliveries.c.closed_at.is_(None), deliveries.c.lane != bindparam("this_lane"))
    return Prepared(update(lanes_table).where(*narrowed(lanes_table, "tenant", "hospital"), lanes_table.c.lane.in_(waiting)))


@cache
def _midway() -> Prepared:
    """The lane's deliveries that are on their way: what is within a call is ambiguous, what is between two begins again."""
    same = [attempts.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "lane", "seq")]
    call = select(attempts.c.number).where(*same, attempts.c.outcome.is_(None))
    state = case((call.exists(), literal("ambiguous")), else_=literal("pending"))
    deaths = deliveries.c.worker_deaths + bindparam("more_deaths", type_=deliveries.c.worker_deaths.type)
    sending = update(deliveries).where(*this(deliveries), deliveries.c.closed_at.is_(None), deliveries.c.state == "sending")
    return Prepared(sending.values(state=state, worker_deaths=deaths))


@cache
def _with_work(*, of_one: bool) -> Prepared:
    """(tenant, hospital, half open, when its longest due free lane was due) of the hospitals that may be called."""
    now, table = _now(), hospitals_table
    first_due = (
        select(func.min(lanes_table.c.due_at))
        .where(lanes_table.c.tenant == table.c.tenant, lanes_table.c.hospital == table.c.hospital, *_free(now))
        .scalar_subquery()
    )
    found = select(table.c.tenant, table.c.hospital, table.c.opened_at.is_not(None), first_due.label("first_due"))
    return Prepared(found.where(*hospitals.callable_at(now), *([table.c.hospital == bindparam("this_hospital")] if of_one else [])))


@cache
def _longest_due() -> Prepared:
    # SKIP LOCKED: two workers that look at once take two lanes (SQLite needs no such thing, its transaction is alone)
    found = select(lanes_table.c.lane).where(*narrowed(lanes_table, "tenant", "hospital"), *_free(_now()))
    return Prepared(found.order_by(lanes_table.c.due_at).limit(1).with_for_update(skip_locked=True, key_share=True))


@cache
def _taking() -> Prepared:
    taken = update(lanes_table).where(*this(lanes_table)).values(token=lanes_table.c.token + 1)
    return Prepared(taken.returning(lanes_table.c.token))


def _now() -> BindParameter[datetime]:
    return bindparam("now", type_=lanes_table.c.due_at.type)


def this(table: Table) -> list[ColumnElement[bool]]:
    """`table` narrowed to the lane that is named when the statement is run, by `named`."""
    return narrowed(table, "tenant", "hospital", "lane")


def named(lane: InLane) -> dict[str, str]:
    """The lane as a statement made with `_this` is told it."""
    return {"this_tenant": lane.tenant, "this_hospital": lane.hospital, "this_lane": lane.lane}


def at(table: Table, lane: InLane) -> list[ColumnElement[bool]]:
    """`table` narrowed to the lane of a lease, a delivery or an attempt."""
    return [table.c.tenant == lane.tenant, table.c.hospital == lane.hospital, table.c.lane == lane.lane]


def unblocked() -> Sequence[ColumnElement[bool]]:
    """Deliveries that may run when their time comes: waiting, and nothing earlier of the same record is still open.

    Earlier means an older version, in whatever lane: a session moved to another patient is the same resource at the hospital.
    """
    earlier = deliveries.alias("earlier")
    same = [earlier.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "kind", "record_id")]
    before = or_(
        earlier.c.version < deliveries.c.version,
        and_(earlier.c.version == deliveries.c.version, earlier.c.lane == deliveries.c.lane, earlier.c.seq < deliveries.c.seq),
    )
    return [
        deliveries.c.closed_at.is_(None),
        in_words(deliveries.c.state, "pending", "ambiguous", "retry_wait"),
        ~exists().where(*same, earlier.c.closed_at.is_(None), before),
    ]


def _hospitals_with_work(tx: Transaction, now: datetime, hospital: str | None) -> list[tuple[str, str, bool]]:
    """(tenant, hospital, half open) of those that may be called and have a free due lane, the one that waited longest first."""
    found = tx.rows(_with_work(of_one=bool(hospital)), now=now, **({"this_hospital": hospital} if hospital else {}))
    due = sorted((row for row in found if row[3] is not None), key=lambda row: row[3])
    return [(row[0], row[1], bool(row[2])) for row in due]


def _free_lane(tx: Transaction, now: datetime, tenant: str, hospital: str) -> str | None:
    row = tx.first(_longest_due(), this_tenant=tenant, this_hospital=hospital, now=now)
    return row[0] if row else None


def _free(now: datetime | BindParameter[datetime]) -> Sequence[ColumnElement[bool]]:
    return [lanes_table.c.due_at <= now, or_(lanes_table.c.lease_until.is_(None), lanes_table.c.lease_until <= now)]


def _leased(tx: Transaction, wanted: Lease, now: datetime) -> Lease | None:
    if wanted.probe and not hospitals.probe(tx, wanted.tenant, wanted.hospital, lane=wanted.lane, until=wanted.until, now=now):
        return None
    taken = _take(tx, wanted)
    _leave_behind(tx, taken, died=True)
    return taken


def _take(tx: Transaction, wanted: Lease) -> Lease:
    row = tx.first(_taking(), **named(wanted), lease_until=wanted.until, lease_worker=wanted.worker)
    assert row is not None, "the lane was just seen"  # noqa: S101
    return replace(wanted, token=row[0])


def _leave_behind(tx: Transaction, lane: Lease, *, died: bool) -> None:
    """What a holder left in the middle: a call without an outcome is ambiguous, a delivery between two calls begins again."""
    tx.run(_midway(), **named(lane), more_deaths=int(died), changed_at=tx.now)
