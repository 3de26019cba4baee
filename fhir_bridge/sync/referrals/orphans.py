"""Referrals whose loop neither side is moving: where each stands, since when, who must act, and what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.hospital.cards import card
from fhir_bridge.store import dead_letters, fetches, matches, outbox, records, referrals
from fhir_bridge.store import unread as unread_rows
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.fetches import Fetch
from fhir_bridge.store.outbox import Delivery
from fhir_bridge.store.referrals import Standing
from fhir_bridge.store.unread import Unread
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import unread
from fhir_bridge.sync.referrals.loop import OVER

UNDECIDED, DAY_PAST, UNHEARD = "undecided", "day-past", "unheard"
#: where a referral may stand, for how many days, and what the clinic does then
PATIENCE: Mapping[str, tuple[int, str]] = {
    UNDECIDED: (1, "Say whose patient it is: `fhir-bridge referrals match`, or POST …/match."),
    "submitted": (3, "Accept or decline it."),
    "received": (3, "Accept or decline it."),
    "accepted": (14, "Schedule a session, or cancel it with a reason."),
    "scheduled": (30, "Post the planned session, or cancel it with a reason."),
    DAY_PAST: (2, "The day of the session is past: post what became of it (completed, no-show, cancelled)."),
    "in-treatment": (2, "Post the end of the session."),
    "session-done": (14, "Complete it, or schedule the next session."),
    "session-missed": (14, "Schedule another session, or cancel it with a reason."),
    "session-cancelled": (14, "Schedule another session, or cancel it with a reason."),
    "cancel-requested": (2, "The hospital asks to cancel it: cancel it, or schedule it again."),
    "on-hold": (30, "Accept it again, or cancel it with a reason."),
    UNHEARD: (1, "The news waits for the hospital; `fhir-bridge status` says why."),
}


Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Loop:
    """What is looked at of one referral. `session_until`: the end of the last planned day; `waiting`: since when its news waits."""

    id: str
    status: str
    since: datetime
    undecided: datetime | None = None
    session_until: datetime | None = None
    waiting: datetime | None = None
    stopped: tuple[datetime, str, str] | None = None  # since, who must act, what to do


@dataclass(frozen=True, slots=True)
class Orphan:
    """`stuck` is a word of `PATIENCE`, `stopped`, `unreadable`, or `not-fetched` (then the id is a Task's).

    `who` is clinic, hospital or admin; `do` says what, in words.
    """

    id: str
    status: str
    stuck: str
    since: str
    days: int
    who: str
    do: str


def judge(loop: Loop, now: datetime, *, days: int | None = None) -> Orphan | None:
    """Why nobody moves this referral, the most pressing reason; None when somebody has time yet. Pure."""

    def orphan(stuck: str, since: datetime, who: str, do: str) -> Orphan:
        return Orphan(loop.id, loop.status, stuck, since.isoformat(), (now - since).days, who, do)

    if loop.stopped:
        since, who, do = loop.stopped
        return orphan("stopped", since, who, do)
    for stuck, since in _waits(loop):
        patience, do = PATIENCE[stuck]
        if now - since >= timedelta(days=patience if days is None else days):
            return orphan(stuck, since, "admin" if stuck == UNHEARD else "clinic", do)
    return None


def of_site(
    bridge: Bridge, tenant: str, *, days: int | None = None, after: Place | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Every orphan of the site, the longest stuck first; `days` instead of the patience of each state.

    `after` the place of the last one seen, and at most `limit`.
    """
    unread.catch_up(bridge, tenant)
    with bridge.store.reading() as tx:
        dead = {one.record_id: one for one in dead_letters.dead(tx, tenant, limit=10_000) if one.kind == "referral"}
        undecided = {one.referral: one.asked_at for one in matches.open_(tx, tenant)}
        stands = {one.id: one for one in referrals.unfinished(tx, tenant, OVER)}
        stands |= {id: found for id in dead if id not in stands and (found := referrals.standing(tx, tenant, id))}
        loops = [_loop(tx, one, undecided.get(id), dead.get(id)) for id, one in stands.items()]
        now, lost, unreadable = tx.now, fetches.failed(tx, tenant), unread_rows.refused(tx, tenant)
    unfetched = [*(_unfetched(one, now) for one in lost), *(_unreadable(one, now) for one in unreadable)]
    stuck = [orphan for loop in loops if (orphan := judge(loop, now, days=days))]
    ordered = sorted([*stuck, *unfetched], key=place)
    return [asdict(one) for one in ordered if after is None or place(one) > after][:limit]


def place(one: Orphan) -> Place:
    """Where it stands among all."""
    return datetime.fromisoformat(one.since), one.id


def _unfetched(one: Fetch, now: datetime) -> Orphan:
    do = f"The order of its Task could not be fetched: {one.why}. Have the hospital {one.client} send it again, with the order in it."
    return Orphan(one.id, "submitted", "not-fetched", one.received_at.isoformat(), (now - one.received_at).days, "hospital", do)


def _unreadable(one: Unread, now: datetime) -> Orphan:
    do = f"What the hospital {one.client} sent cannot be read: {one.why}. Have it send the order again, mended."
    return Orphan(one.referral, "submitted", "unreadable", one.received_at.isoformat(), (now - one.received_at).days, "hospital", do)


def _waits(loop: Loop) -> Iterator[tuple[str, datetime]]:
    if loop.waiting:
        yield UNHEARD, loop.waiting
    if loop.status in OVER:
        return
    if loop.undecided:
        yield UNDECIDED, loop.undecided
    if loop.status == "scheduled" and loop.session_until:
        yield DAY_PAST, loop.session_until
    elif loop.status in PATIENCE:
        yield loop.status, loop.since


def _loop(tx: Transaction, one: Standing, undecided: datetime | None, dead: Delivery | None) -> Loop:
    sent = outbox.of_record(tx, one.tenant, "referral", one.id)
    waiting = [each.created_at for each in sent if each.state in ("pending", "retry_wait", "ambiguous", "sending")]
    return Loop(
        one.id, one.status, one.updated_at, undecided, _planned_until(tx, one), min(waiting, default=None), _stopped(dead) if dead else None
    )


def _planned_until(tx: Transaction, one: Standing) -> datetime | None:
    """The end of the last planned session that answers it."""
    if one.status != "scheduled" or (stored := records.current(tx, one.tenant, "referral", one.id)) is None:
        return None
    named = documents.loads(stored.document, max_bytes=len(stored.document))["referral"].get("sessions", [])
    found = [records.current(tx, one.tenant, "session", each["id"]) for each in named]
    sessions = [documents.loads(each.document, max_bytes=len(each.document)) for each in found if each]
    ends = [planned.get("end", planned["start"]) for session in sessions if "start" in (planned := session.get("planned", {}))]
    return max(map(datetime.fromisoformat, ends), default=None)


def _stopped(delivery: Delivery) -> tuple[datetime, str, str]:
    detail = documents.loads(delivery.detail) if delivery.detail else {}
    faults = tuple(Fault(**fault) for fault in detail.get("faults", ()))
    told = card(delivery.reason or "", faults, status=detail.get("status", 0))
    return delivery.changed_at, told.who, f"The hospital has not heard of it: {told.title}. {told.do} (delivery {delivery.id})"
