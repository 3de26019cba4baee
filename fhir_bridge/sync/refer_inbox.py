"""The clinic's inbox of referrals, and its four decisions; each is a new version of the record, delivered like any other change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import words
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store import records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.referrals import Standing
from fhir_bridge.sync import refer_read, status
from fhir_bridge.sync.accept import accept
from fhir_bridge.sync.bridge import Bridge


class NotNow(BridgeError):
    """The referral stands where this decision cannot be made."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where it leads, from where it can be made, and whether it needs a reason or may name sessions."""

    to: str
    from_: tuple[str, ...]
    reason: bool = False
    sessions: bool = False


DECISIONS = {
    "accept": Decision("accepted", ("submitted", "received")),
    "decline": Decision("declined", ("submitted", "received", "accepted"), reason=True),
    "schedule": Decision("scheduled", ("accepted", "scheduled", "session-missed", "session-cancelled"), sessions=True),
    "complete": Decision("completed", ("scheduled", "in-treatment", "session-done"), sessions=True),
}


def listing(
    bridge: Bridge, tenant: str, *, status: str | None = None, after: tuple[datetime, str] | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest first: `{id, version, status, received_at, sender, record}`; `after` the last one seen. Raises `Refused`."""
    if status is not None and status not in words.REFERRAL_STATES:
        raise Refused([Fault("status", f"must be one of {', '.join(words.REFERRAL_STATES)}")])
    with bridge.store.reading() as tx:
        found = referrals.listing(tx, tenant, status=status, after=after, limit=limit)
        return [_told(tx, one) for one in found]


def shown(bridge: Bridge, tenant: str, id: str) -> dict[str, Any] | None:
    """The referral and its deliveries, who sent it, and what of the newest message is not in the record, by path. None: no such one."""
    found = status.of_record(bridge, tenant=tenant, kind="referral", id=id)
    with bridge.store.reading() as tx:
        standing = referrals.standing(tx, tenant, id)
        messages = referrals.messages_of(tx, tenant, id)
    if found is None or standing is None:
        return None
    read = refer_read.read(bridge.sites[tenant], documents.loads(messages[-1].body))
    return found | {"status": standing.status, "sender": standing.client, "left_out": list(read.left_out)}


def decide(
    bridge: Bridge, client: Client, id: str, verb: str, *, reason: str | None = None, sessions: Sequence[str] = ()
) -> dict[str, Any] | None:
    """`accept`'s answer for the next version; for a decision made already, the answer again. None: no such referral.

    Raises `NotNow`, `Refused`, and `VersionTaken` when something else happened at the same time.
    """
    with bridge.store.reading() as tx:
        stored = records.current(tx, client.tenant, "referral", id)
    if stored is None:
        return None
    before = documents.loads(stored.document, max_bytes=len(stored.document))
    decision = DECISIONS[verb]
    _require_allowed(decision, verb, reason, sessions)
    after = decided(before, decision, reason=reason, sessions=sessions)
    if after != before:
        if (stands := before["referral"]["status"]) not in decision.from_:
            raise NotNow(f"The referral is {stands}; {verb} is for one that is {' or '.join(decision.from_)}.")
        after["referral"]["version"] = stored.version + 1

    def alongside(tx: Transaction) -> None:
        referrals.move(tx, client.tenant, id, decision.to)

    return accept(
        bridge, client=client, kind="referral", document=after, body_sha256="", action=f"{verb}-referral", alongside=alongside
    )  # fmt: skip


def decided(before: dict[str, Any], decision: Decision, *, reason: str | None = None, sessions: Sequence[str] = ()) -> dict[str, Any]:
    """`before` with what the decision says; equal to it when it says nothing new."""
    referral = {name: value for name, value in before["referral"].items() if name != "status_reason"} | {"status": decision.to}
    if reason:
        referral["status_reason"] = reason
    known = {one["id"] for one in referral.get("sessions", [])}
    if together := sorted(known | set(sessions)):
        referral["sessions"] = [{"id": one} for one in together]
    return before | {"referral": referral}


def _require_allowed(decision: Decision, verb: str, reason: str | None, sessions: Sequence[str]) -> None:
    if decision.reason and not reason:
        raise Refused([Fault("reason", "is required: the hospital must be able to tell the patient why")])
    if reason and not decision.reason:
        raise Refused([Fault("reason", f"is not for {verb}; leave it out")])
    if sessions and not decision.sessions:
        raise Refused([Fault("sessions", f"is not for {verb}; leave it out")])


def _told(tx: Transaction, one: Standing) -> dict[str, Any]:
    stored = records.current(tx, one.tenant, "referral", one.id)
    record = documents.loads(stored.document, max_bytes=len(stored.document)) if stored else {}
    return {
        "id": one.id,
        "version": stored.version if stored else 0,
        "status": one.status,
        "received_at": one.received_at.isoformat(),
        "sender": one.client,
        "record": record,
    }
