"""What a person does about a conflict: see both values, keep ours, or take theirs, one or many. Each decision is in the audit trail.

Keeping ours sends the record again by the ordinary way; taking theirs makes the record's next version. Until then the resource
is not written. Many are decided in transactions of a few: an interrupted run has done part, and the same command does the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import schema_path
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store import conflicts, links, outbox
from fhir_bridge.store.conflicts import Conflict, Word
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.admission import lane_of
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import dispatch
from fhir_bridge.sync.pulling.compare import NOTHING, equal
from fhir_bridge.sync.pulling.owners import owner
from fhir_bridge.sync.pulling.record import About, Page, as_sent, newest, tell, with_values

AT_ONCE = 50
# what → what happened, in words
WORDS = {
    "field": "both sides say something else",
    "deleted": "the hospital deleted it",
    "retracted": "the hospital marked it as entered in error",
    "merged": "the hospital merged the patient into another, or made them inactive",
    "duplicate": "the hospital holds it twice under our identifier",
    "frozen": "both sides changed it in turn, three times within an hour",
}


class Decided(BridgeError):
    """The conflict is not open any more."""


@dataclass(frozen=True, slots=True)
class Which:
    """The open conflicts of one site: all, or those with one hospital, or of one field (`follow_up.start`, `readings[].heart_rate`)."""

    tenant: str
    hospital: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many were decided, and the ids of those that could not be: decide them one by one to hear why."""

    done: int
    left: tuple[str, ...] = ()


def listing(bridge: Bridge, tenant: str, *, state: str | None = "open", hospital: str | None = None) -> list[dict[str, Any]]:
    """The conflicts of a site, the oldest first, without values."""
    with bridge.store.reading() as tx:
        found = conflicts.listing(tx, tenant, state=state, hospital=hospital)
    return [_told(one) for one in sorted(found, key=lambda one: (one.opened_at, one.id))]


def shown(bridge: Bridge, tenant: str, id: str) -> dict[str, Any] | None:
    """One conflict with both values (`null`: not there): ours as the record says it now while it is open; None for an unknown one."""
    with bridge.store.reading() as tx:
        found = conflicts.by_id(tx, tenant, id)
        if found is None:
            return None
        ours, theirs = (None if value is None else documents.loads(value) for value in (found.our_value, found.their_value))
        if found.state == "open" and found.path:
            ours = newest(Page(bridge, tx, tenant, found.hospital), found.kind, found.record_id).leaves.get(found.path)
    return _told(found) | {"path": found.path, "ours": ours, "theirs": theirs, "resource": found.ours, "at_hospital": found.theirs}


def keep_ours(bridge: Bridge, *, tenant: str, id: str, who: str, why: str = "") -> None:
    """What the clinic says stands, and is sent to the hospital again. Raises `Refused` for an unknown one, `Decided`."""
    with bridge.store.transaction() as tx:
        _keep_ours(bridge, tx, _found(tx, tenant, id), who, why)


def take_theirs(bridge: Bridge, *, tenant: str, id: str, who: str, why: str = "") -> None:
    """What the hospital says stands, as the record's next version. Raises as `keep_ours`; `Refused` also when that is no record."""
    with bridge.store.transaction() as tx:
        _take_theirs(bridge, tx, _found(tx, tenant, id), who, why)


def keep_ours_in(bridge: Bridge, which: Which, *, who: str, why: str = "") -> Count:
    """`keep_ours` for many."""
    return _each(bridge, which, lambda tx, one: _keep_ours(bridge, tx, one, who, why))


def take_theirs_in(bridge: Bridge, which: Which, *, who: str, why: str = "") -> Count:
    """`take_theirs` for many."""
    return _each(bridge, which, lambda tx, one: _take_theirs(bridge, tx, one, who, why))


def _each(bridge: Bridge, which: Which, act: Callable[[Transaction, Conflict], None]) -> Count:
    done, left, after = 0, [], ""
    while True:
        with bridge.store.reading() as tx:
            found = conflicts.listing(tx, which.tenant, hospital=which.hospital, after=after, limit=AT_ONCE)
        for one in found:
            if which.field not in (None, schema_path(one.path)):
                continue
            try:
                with bridge.store.transaction() as tx:
                    act(tx, one)
                done += 1
            except (Refused, Decided):
                left.append(one.id)
        if len(found) < AT_ONCE:
            return Count(done, tuple(left))
        after = found[-1].id


def _keep_ours(bridge: Bridge, tx: Transaction, one: Conflict, who: str, why: str) -> None:
    page = Page(bridge, tx, one.tenant, one.hospital)
    _decide(page, one, state="kept-ours", action="keep-ours", who=who, why=why)
    link = links.by_ours(tx, one.tenant, one.hospital, one.ours)
    if one.what == "field":
        conflicts.unsay(tx, one.tenant, one.hospital, one.ours, one.path)
    if one.what == "frozen":
        conflicts.forget_turns(tx, tenant=one.tenant, hospital=one.hospital, ours=[one.ours])
    if link is None or one.what in ("merged", "duplicate"):
        return
    anew = replace(link, sent=None)  # not sent as it is now: the next plan writes it
    if one.what == "deleted":
        anew = replace(anew, theirs=None, version=None, etag=None, seen=None)
    elif one.what == "retracted":
        anew = replace(anew, seen=one.their_value)
    links.refresh(tx, [anew])
    _send_again(page, _speaker(page, one))


def _take_theirs(bridge: Bridge, tx: Transaction, one: Conflict, who: str, why: str) -> None:
    page = Page(bridge, tx, one.tenant, one.hospital)
    if one.what == "field":
        _take_value(page, one, who)
    elif one.what in ("merged", "duplicate"):
        _point_to(page, one)
    elif one.what == "frozen":
        conflicts.forget_turns(tx, tenant=one.tenant, hospital=one.hospital, ours=[one.ours])
    _decide(page, one, state="took-theirs", action="take-theirs", who=who, why=why)


def _decide(page: Page, one: Conflict, *, state: str, action: str, who: str, why: str) -> None:
    if one.state != "open" or not conflicts.close(page.tx, one, state=state, now=page.tx.now, by=who, why=why or None):
        raise Decided("the conflict is not open any more")
    told = {"of": f"{one.kind}/{one.record_id}", "what": one.what}
    tell(page, actor=who, action=action, id=one.id, detail=told | ({"why": why} if why else {}))


def _take_value(page: Page, one: Conflict, who: str) -> None:
    about, theirs = _speaker(page, one), NOTHING if one.their_value is None else documents.loads(one.their_value)
    mine = about.leaves.get(one.path, NOTHING)
    if owner(one.path) == "hospital":
        was = None if mine is NOTHING else documents.dumps(mine)
        conflicts.say(page.tx, Word(one.tenant, one.hospital, one.ours, one.path, one.their_value, was, page.tx.now))
    if equal(mine, theirs):
        return
    about = with_values(page, about, {one.path: theirs}, actor=who, detail={"conflict": one.id})
    others = [each for each in conflicts.holding(page.tx, one.tenant, one.hospital, [one.ours]) if each.id != one.id]
    link = links.by_ours(page.tx, one.tenant, one.hospital, one.ours)
    if link is not None and not others:
        sent = as_sent(page, about, {one.ours: link}, [one.ours], taken={one.path: theirs})
        links.refresh(page.tx, [replace(link, sent=sent.get(one.ours, link.sent))])


def _point_to(page: Page, one: Conflict) -> None:
    """From now on our resource is that other one there; what it holds is read before anything is written."""
    said = documents.loads(one.their_value) if one.their_value else {}
    reference = "/".join(str(said.get("reference") or "").partition("/_history/")[0].split("/")[-2:])
    link = links.by_ours(page.tx, one.tenant, one.hospital, one.ours)
    if link is None or reference.partition("/")[0] != one.ours.partition("/")[0]:
        raise Refused([Fault("theirs", "the hospital does not say which resource took its place; ask there, and keep ours meanwhile")])
    links.refresh(page.tx, [replace(link, theirs=reference, version=None, etag=None, seen=None, sent=None)])


def _speaker(page: Page, one: Conflict) -> About:
    """The record that speaks for the resource by now."""
    speakers = links.spoke_last(page.tx, one.tenant, one.hospital, [one.ours])
    return newest(page, *speakers.get(one.ours, (one.kind, one.record_id)))


def _send_again(page: Page, about: About) -> None:
    lane = lane_of(page.tenant, str(about.leaves["patient.id"]))
    outbox.enqueue(
        page.tx, tenant=page.tenant, hospital=page.hospital, lane=lane, kind=about.kind, record_id=about.id, version=about.version,
        now=page.tx.now,
    )  # fmt: skip
    dispatch.call(page.bridge, page.tx, (page.tenant, page.hospital, lane))


def _found(tx: Transaction, tenant: str, id: str) -> Conflict:
    found = conflicts.by_id(tx, tenant, id)
    if found is None:
        raise Refused([Fault("id", "the site has no conflict of this id")])
    return found


def _told(one: Conflict) -> dict[str, Any]:
    told = {
        "id": one.id,
        "hospital": one.hospital,
        "record": f"{one.kind}/{one.record_id}",
        "what": one.what,
        "in_words": WORDS[one.what],
        "state": one.state,
        "since": one.opened_at.isoformat(),
    }
    decided = {"decided_by": one.decided_by, "decided_at": one.changed_at.isoformat(), "why": one.why} if one.decided_by else {}
    return told | ({"field": schema_path(one.path), "owner": owner(one.path)} if one.path else {}) | decided
