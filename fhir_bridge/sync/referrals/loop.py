"""The clinic's own session moves the referral it answers: planned, missed, done. The hospital hears of it as of every change.

It is moved in the transaction that stores the session. A session of somebody else than the person referred moves nothing: whose
patient the referral is, becomes a person's question.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records as clinic
from fhir_bridge.store import audit, matches, records
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matches import Match
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import match as refer_match
from fhir_bridge.sync.referrals import patient as refer_patient

Record = dict[str, Any]
#: a referral that is over is moved by nothing
OVER = frozenset({"declined", "completed", "cancelled", "failed", "entered-in-error"})
DONE = "session-done"
#: where a session leads the referral it answers, by the session's status
LEADS = {
    "scheduled": "scheduled", "arrived": "in-treatment", "checked-in": "in-treatment", "attended": "in-treatment",
    "in-progress": "in-treatment", "paused": "in-treatment", "completed": DONE, "stopped": DONE,
    "no-show": "session-missed", "cancelled": "session-cancelled", "not-started": "session-cancelled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """The referral's next version, and what the audit trail says of it."""

    record: Record
    detail: dict[str, Any] = field(default_factory=dict)


def hold(tx: Transaction, tenant: str, session: Record) -> Match | None:
    """Have the referral that `session` names to ourselves until the commit.

    Before the patient's queue, as a decision does: who takes two things in another order waits for ever for who waits for him.
    """
    named = session.get("referral", {}).get("id")
    return matches.hold(tx, tenant, named) if named else None


def after(bridge: Bridge, tx: Transaction, tenant: str, session: Record, *, actor: str) -> Moved | None:
    """The referral as `session` leaves it; None when it stays as it is."""
    match = hold(tx, tenant, session)
    stored = records.current(tx, tenant, "referral", match.referral) if match else None
    if match is None or stored is None:
        return None
    before: Record = documents.loads(stored.document, max_bytes=len(stored.document))
    if before["referral"]["status"] in OVER:
        return None
    about = _about(before, session["patient"])
    if about is None:
        _ask(bridge, tx, match, before, session["patient"], actor=actor)
        return None
    if about != before or match.verdict == "open":
        matches.put(tx, replace(match, verdict="joined", decided_by=actor))
    earlier = records.version(tx, tenant, "session", session["id"], clinic.version("session", session) - 1)
    was = documents.loads(earlier.document, max_bytes=len(earlier.document))["status"] if earlier else None
    moved = led(about, session["id"], session["status"], was=was)
    if moved == before and match.verdict != "open":
        return None
    return Moved(_next(moved, stored.version), {"status": moved["referral"]["status"]})


def led(before: Record, session: str, status: str, *, was: str | None = None) -> Record:
    """`before` as a session of this number and status leaves it; `was` is the status it had before. Pure.

    A correction of what was said already moves nothing. A session entered in error answers nothing any more.
    """
    referral = before["referral"]
    listed = {name: {one["id"] for one in referral.get(name, [])} for name in ("sessions", "summaries")}
    to = LEADS.get(status)
    if to is None:
        rest = listed["sessions"] - {session}
        back = referral["status"] if rest else "accepted"
        return before | {"referral": _listing(referral, back, rest, listed["summaries"] - {session})}
    if session in listed["sessions"] and was is not None and LEADS.get(was) == to:
        return before
    summaries = listed["summaries"] | {session} if to == DONE else listed["summaries"] - {session}
    return before | {"referral": _listing(referral, to, listed["sessions"] | {session}, summaries)}


def _listing(referral: Record, status: str, sessions: set[str], summaries: set[str]) -> Record:
    kept = {name: value for name, value in referral.items() if name not in ("sessions", "summaries", "status_reason")}
    lists = {"sessions": [{"id": one} for one in sorted(sessions)], "summaries": [{"id": one} for one in sorted(summaries)]}
    return kept | {"status": status} | {name: rows for name, rows in lists.items() if rows}


def _about(before: Record, patient: Record) -> Record | None:
    """`before` about the session's patient; None when they do not agree."""
    if before["patient"]["id"] == patient["id"]:
        return before
    told = before["patient"]
    differs = refer_match.compared(told, patient).differs
    return None if differs else before | {"patient": refer_patient.together(patient, told, str(patient["id"]))}


def _ask(bridge: Bridge, tx: Transaction, match: Match, before: Record, patient: Record, *, actor: str) -> None:
    asked = asdict(refer_match.compared(before["patient"], patient))
    listed = [one for one in documents.loads(match.candidates) if one["patient"] != asked["patient"]]
    put = replace(match, verdict="open", candidates=documents.dumps([*listed, asked]), asked_at=tx.now, decided_by=None)
    matches.put(tx, put)
    audit.write(
        tx, tenant=match.tenant, actor=actor, action="ask-whose-patient", subject=f"referral/{match.referral}", detail={},
        now=tx.now, key=bridge.audit_key,
    )  # fmt: skip


def _next(record: Record, version: int) -> Record:
    return record | {"referral": record["referral"] | {"version": version + 1}}
