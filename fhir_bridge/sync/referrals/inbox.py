"""The clinic's inbox of referrals, and its decisions; each is a new version of the record, delivered like any other change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import words
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store import matches, records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matches import Match
from fhir_bridge.store.records import Stored
from fhir_bridge.store.referrals import Message, Standing
from fhir_bridge.sync import status
from fhir_bridge.sync.accept import accept
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.referrals import orphans, unread
from fhir_bridge.sync.referrals import patient as refer_patient
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals import update as refer_update
from fhir_bridge.sync.referrals.loop import OVER
from fhir_bridge.sync.referrals.shape import UPDATE

Seen = tuple[datetime, str]


class NotNow(BridgeError):
    """The referral stands where this decision cannot be made."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where it leads, from where it can be made, whether it needs a reason or may name sessions, and a patient who is known."""

    to: str
    from_: tuple[str, ...]
    reason: bool = False
    sessions: bool = False
    patient: bool = False


_BEGUN = ("accepted", "scheduled", "in-treatment", "session-done", "session-missed", "session-cancelled")
DECISIONS = {
    "accept": Decision("accepted", ("submitted", "received", "on-hold")),
    "decline": Decision("declined", ("submitted", "received", "accepted", "on-hold"), reason=True),
    "schedule": Decision("scheduled", ("accepted", "scheduled", "session-missed", "session-cancelled"), sessions=True, patient=True),
    "complete": Decision("completed", ("scheduled", "in-treatment", "session-done"), sessions=True, patient=True),
    "hold": Decision("on-hold", ("submitted", "received", *_BEGUN), reason=True),
    "cancel": Decision("cancelled", ("submitted", "received", *_BEGUN, "cancel-requested", "on-hold"), reason=True),
    "fail": Decision("failed", (*_BEGUN, "on-hold"), reason=True),
}
MATCH_FIRST = "Whose patient this is must be said first: match the referral to a known patient, or say that the patient is new."


def listing(
    bridge: Bridge, tenant: str, *, status: str | None = None, undecided: bool = False, after: Seen | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest first: `{id, version, status, received_at, sender, match, record}`; `after` the last one seen. Raises `Refused`.

    `match` says whose patient it is; `undecided` are those for which a person must say.
    """
    if status is not None and status not in words.REFERRAL_STATES:
        raise Refused([Fault("status", f"must be one of {', '.join(words.REFERRAL_STATES)}")])
    unread.catch_up(bridge, tenant)
    with bridge.store.reading() as tx:
        if undecided:
            found = [one for one in _undecided(tx, tenant) if status in (None, one.status) and (not after or _place(one) < after)][:limit]
        else:
            found = referrals.listing(tx, tenant, status=status, after=after, limit=limit)
        return [_told(tx, one) for one in found]


def stuck(bridge: Bridge, tenant: str, *, after: Seen | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """As `listing`, those that neither side is moving, each with `orphan`: why, since when, who must act, and what to do."""
    why = {one["id"]: one for one in orphans.of_site(bridge, tenant)}
    with bridge.store.reading() as tx:
        found = [one for id in why if (one := referrals.standing(tx, tenant, id)) and (not after or _place(one) < after)]
        newest = sorted(found, key=_place, reverse=True)[:limit]
        return [_told(tx, one) | {"orphan": {name: said for name, said in why[one.id].items() if name != "status"}} for one in newest]


def shown(bridge: Bridge, tenant: str, id: str) -> dict[str, Any] | None:
    """The referral and its deliveries, who sent it, whose patient it is, and what of the newest message is not in the record, by path.

    None: no such one.
    """
    unread.catch_up(bridge, tenant)
    found = status.of_record(bridge, tenant=tenant, kind="referral", id=id)
    with bridge.store.reading() as tx:
        standing = referrals.standing(tx, tenant, id)
        messages = referrals.messages_of(tx, tenant, id)
        match = matches.of(tx, tenant, id)
        whose = {"match": refer_patient.shown(tx, match, found["record"]["patient"])} if match and found else {}
    if found is None or standing is None:
        return None
    left_out = _left_out(bridge.sites[tenant], found["record"], messages[-1])
    return found | {"status": standing.status, "sender": standing.client, "left_out": list(left_out)} | whose


def _left_out(site: Site, record: dict[str, Any], message: Message) -> tuple[str, ...]:
    document = documents.loads(message.body, max_bytes=len(message.body))
    if message.route.startswith(UPDATE):
        return refer_update.left_out(site, record, document)
    return refer_read.read(site, document).left_out


def decide(
    bridge: Bridge, client: Client, id: str, verb: str, *, reason: str | None = None, sessions: Sequence[str] = ()
) -> dict[str, Any] | None:
    """`accept`'s answer for the next version; for a decision made already, the answer again. None: no such referral.

    Raises `NotNow`, `Refused`, and `VersionTaken` when something else happened at the same time.
    """
    stored, match = _current(bridge, client.tenant, id)
    if stored is None:
        return None
    before, decision = _document(stored), DECISIONS[verb]
    _require_allowed(decision, verb, reason, sessions)
    after = decided(before, decision, reason=reason, sessions=sessions)
    if after != before:
        if (stands := before["referral"]["status"]) not in decision.from_:
            raise NotNow(f"The referral is {stands}; {verb} is for one that is {' or '.join(decision.from_)}.")
        after["referral"]["version"] = stored.version + 1
    undecided = match is not None and match.verdict == "open"
    if undecided and decision.patient:
        raise NotNow(MATCH_FIRST)

    def alongside(tx: Transaction) -> None:
        matches.hold(tx, client.tenant, id)
        if match and undecided and decision.to in OVER:  # nobody is treated: the patient stays one of the referral's own
            matches.put(tx, replace(match, verdict="new", decided_by=client.id))

    return _taken(bridge, client, after, action=f"{verb}-referral", alongside=alongside)


def match(bridge: Bridge, client: Client, id: str, *, patient: str | None = None, new: bool = False) -> dict[str, Any] | None:
    """A person says whose patient it is: a known one's number, or `new`, under the clinic's number `patient` if it is given.

    `accept`'s answer for the version that says so, which goes to the hospital with all that was held back. None: no such referral.
    Raises `NotNow`, `Refused`, `VersionTaken`.
    """
    stored, found = _current(bridge, client.tenant, id)
    if stored is None or found is None:
        return None
    before = _document(stored)
    if before["referral"]["status"] in OVER:
        raise NotNow(f"The referral is {before['referral']['status']}; nothing of it is changed any more.")
    if not patient and not new:
        raise Refused([Fault("patient", "is required: the number of a known patient; or say new")])
    about = refer_patient.decided(bridge, client, found, before["patient"], patient=patient, new=new)
    verdict = "new" if new else "joined"
    after = before | {"patient": about}
    if after != before or found.verdict == "open":
        after = after | {"referral": before["referral"] | {"version": stored.version + 1}}

    def alongside(tx: Transaction) -> None:
        matches.hold(tx, client.tenant, id)
        matches.put(tx, replace(found, verdict=verdict, decided_by=client.id))

    return _taken(bridge, client, after, action="match-referral", detail={"patient": verdict}, alongside=alongside)


def decided(before: dict[str, Any], decision: Decision, *, reason: str | None = None, sessions: Sequence[str] = ()) -> dict[str, Any]:
    """`before` with what the decision says; equal to it when it says nothing new."""
    referral = {name: value for name, value in before["referral"].items() if name != "status_reason"} | {"status": decision.to}
    if reason:
        referral["status_reason"] = reason
    known = {one["id"] for one in referral.get("sessions", [])}
    if together := sorted(known | set(sessions)):
        referral["sessions"] = [{"id": one} for one in together]
    return before | {"referral": referral}


def _taken(bridge: Bridge, client: Client, document: dict[str, Any], **how: Any) -> dict[str, Any]:
    return accept(bridge, client=client, kind="referral", document=document, body_sha256="", **how)


def _current(bridge: Bridge, tenant: str, id: str) -> tuple[Stored | None, Match | None]:
    unread.catch_up(bridge, tenant)
    with bridge.store.reading() as tx:
        return records.current(tx, tenant, "referral", id), matches.of(tx, tenant, id)


def _document(stored: Stored) -> dict[str, Any]:
    found: dict[str, Any] = documents.loads(stored.document, max_bytes=len(stored.document))
    return found


def _undecided(tx: Transaction, tenant: str) -> list[Standing]:
    found = [referrals.standing(tx, tenant, one.referral) for one in matches.open_(tx, tenant)]
    return sorted((one for one in found if one and one.status not in OVER), key=_place, reverse=True)


def _place(one: Standing) -> Seen:
    return one.received_at, one.id


def _require_allowed(decision: Decision, verb: str, reason: str | None, sessions: Sequence[str]) -> None:
    if decision.reason and not reason:
        raise Refused([Fault("reason", "is required: the hospital must be able to tell the patient why")])
    if reason and not decision.reason:
        raise Refused([Fault("reason", f"is not for {verb}; leave it out")])
    if sessions and not decision.sessions:
        raise Refused([Fault("sessions", f"is not for {verb}; leave it out")])


def _told(tx: Transaction, one: Standing) -> dict[str, Any]:
    stored, match = records.current(tx, one.tenant, "referral", one.id), matches.of(tx, one.tenant, one.id)
    return {
        "id": one.id,
        "version": stored.version if stored else 0,
        "status": one.status,
        "received_at": one.received_at.isoformat(),
        "sender": one.client,
        "match": {"verdict": match.verdict if match else "new"},
        "record": _document(stored) if stored else {},
    }
