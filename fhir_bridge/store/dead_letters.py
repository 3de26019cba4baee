"""What a person sees of the outbox, and what they may do: look at what waits, is dead or blocked; replay or discard the dead."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, case, func, or_, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.store import lanes
from fhir_bridge.store.columns import UTCDateTime
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.rows import Delivery
from fhir_bridge.store.tables import deliveries, hospitals
from fhir_bridge.store.tables import lanes as lanes_table


class NotDead(BridgeError):
    """Only a dead delivery can be replayed or discarded; this one is on its way, finished, or superseded."""


@dataclass(frozen=True, slots=True)
class BlockedLane:
    """A lane that does not move. `cause`: dead, ambiguous, retry_wait, paused or breaker-open; `behind`: open deliveries in it."""

    tenant: str
    hospital: str
    lane: str
    cause: str
    reason: str | None
    since: datetime
    kind: str
    record_id: str
    behind: int


def delivery(tx: Transaction, tenant: str, id: str) -> Delivery | None:
    """The delivery of that id (`hospital/lane/seq`)."""
    hospital, _, rest = id.partition("/")
    lane, _, seq = rest.rpartition("/")
    if not seq.isdecimal():
        return None
    found = _select().where(deliveries.c.tenant == tenant, deliveries.c.hospital == hospital)
    return tx.one(Delivery, found.where(deliveries.c.lane == lane, deliveries.c.seq == int(seq)))


def waiting(tx: Transaction, tenant: str | None = None, *, limit: int = 100) -> list[Delivery]:
    """Deliveries on their way (pending, sending, ambiguous, retry_wait), the oldest first."""
    return _open(tx, tenant, deliveries.c.state != "dead", limit)


def due(tx: Transaction, tenant: str, hospital: str, now: datetime, *, limit: int = 100) -> list[Delivery]:
    """Deliveries to one hospital that may be worked on now, the oldest first; whether it may be called is not asked."""
    come = or_(deliveries.c.next_at.is_(None), deliveries.c.next_at <= now)
    return _open(tx, tenant, and_(deliveries.c.hospital == hospital, *lanes.unblocked(), come), limit)


def dead(tx: Transaction, tenant: str | None = None, *, limit: int = 100) -> list[Delivery]:
    """Deliveries stopped for a person, the oldest first."""
    return _open(tx, tenant, deliveries.c.state == "dead", limit)


def stopped_before(
    tx: Transaction, tenant: str, moment: datetime, *, hospital: str | None = None, reason: str | None = None, limit: int = 100
) -> list[Delivery]:
    """Dead deliveries that stopped until `moment`, the oldest first; those of one hospital, or of one reason word, when named."""
    wanted = [deliveries.c.state == "dead", deliveries.c.changed_at <= moment]
    wanted += [deliveries.c.hospital == hospital] if hospital else []
    wanted += [deliveries.c.reason == reason] if reason else []
    return _open(tx, tenant, and_(*wanted), limit)


def counts(tx: Transaction) -> dict[tuple[str, str, str], int]:
    """How many open deliveries there are by (tenant, hospital, state)."""
    key = (deliveries.c.tenant, deliveries.c.hospital, deliveries.c.state)
    found = select(*key, func.count()).where(deliveries.c.closed_at.is_(None)).group_by(*key)
    return {(row[0], row[1], row[2]): row[3] for row in tx.rows(found)}


def replay(tx: Transaction, delivery: Delivery, who: str) -> None:
    """A dead delivery runs again, its counts at zero. Raises `NotDead`. The caller writes the audit row."""
    _revive(tx, delivery, state="pending", reason=None, retries=0, worker_deaths=0, decided_by=who)


def discard(tx: Transaction, delivery: Delivery, who: str, why: str) -> None:
    """A dead delivery is given up for good; later ones of its record are free. Raises `NotDead`. The caller writes the audit row."""
    _revive(tx, delivery, state="discarded", reason=why, decided_by=who, closed_at=tx.now)


def blocked_lanes(tx: Transaction, now: datetime, tenant: str | None = None, *, limit: int = 100) -> list[BlockedLane]:
    """Lanes that stand still now, the longest first: dead or waiting deliveries, paused hospitals, open breakers."""
    stuck = or_(
        hospitals.c.paused_at.is_not(None), hospitals.c.opened_at.is_not(None), deliveries.c.state == "dead", deliveries.c.next_at > now
    )
    first = select(*_LANE, func.min(deliveries.c.seq).label("seq")).join(hospitals, _THERE)
    oldest = first.where(deliveries.c.closed_at.is_(None), stuck, *_of_tenant(tenant)).group_by(*_LANE).subquery()
    cause = case(
        (hospitals.c.paused_at.is_not(None), "paused"), (hospitals.c.opened_at.is_not(None), "breaker-open"), else_=deliveries.c.state
    )
    why = func.coalesce(hospitals.c.paused_why, hospitals.c.why_open, deliveries.c.reason)
    since = func.coalesce(hospitals.c.paused_at, hospitals.c.opened_at, deliveries.c.changed_at, type_=UTCDateTime())
    found = select(*_LANE, cause, why, since.label("since"), deliveries.c.kind, deliveries.c.record_id, _behind())
    same = [deliveries.c[name] == oldest.c[name] for name in ("tenant", "hospital", "lane", "seq")]
    found = found.join(oldest, and_(*same)).join(hospitals, _THERE).order_by("since").limit(limit)
    return tx.every(BlockedLane, found)


_LANE = (deliveries.c.tenant, deliveries.c.hospital, deliveries.c.lane)
_THERE = and_(hospitals.c.tenant == deliveries.c.tenant, hospitals.c.hospital == deliveries.c.hospital)


def _behind() -> ScalarSelect[int]:
    other = deliveries.alias("other")
    same = [other.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "lane")]
    return select(func.count() - 1).select_from(other).where(*same, other.c.closed_at.is_(None)).scalar_subquery()


def _of_tenant(tenant: str | None) -> list[ColumnElement[bool]]:
    return [deliveries.c.tenant == tenant] if tenant else []


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(deliveries.c[name] for name in Delivery.__slots__))


def _open(tx: Transaction, tenant: str | None, state: ColumnElement[bool], limit: int) -> list[Delivery]:
    found = _select().where(deliveries.c.closed_at.is_(None), state, *_of_tenant(tenant))
    return tx.every(Delivery, found.order_by(deliveries.c.created_at, deliveries.c.seq).limit(limit))


def _revive(tx: Transaction, delivery: Delivery, **values: Any) -> None:
    # the lane's row first, as everybody does, so that its due time is worked out from what is there
    tx.execute(select(lanes_table.c.token).where(*lanes.at(lanes_table, delivery)).with_for_update(key_share=True))
    dead = update(deliveries).where(*lanes.at(deliveries, delivery), deliveries.c.seq == delivery.seq, deliveries.c.state == "dead")
    if tx.execute(dead.values(changed_at=tx.now, **values)).rowcount == 0:
        raise NotDead("only a dead delivery can be replayed or discarded; look at its state again")
    lanes.refresh(tx, delivery)
    lanes.wake_others(tx, delivery)
