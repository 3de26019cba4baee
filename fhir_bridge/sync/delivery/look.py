"""An attempt whose end nobody knows: look at the hospital before anything is sent again.

What is found is adopted. What is not found may still be on its way inside the server: a write that could make a second record
waits out the settle time, one that is safe to repeat (PUT by our own id, If-Match) does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.hospital.client import NoReply, Reply
from fhir_bridge.hospital.parts import Link, Write
from fhir_bridge.hospital.verify import Adopt, Nothing, Several, found, is_whole, searches, together
from fhir_bridge.store import links, outbox
from fhir_bridge.store.outbox import Attempt, Delivery
from fhir_bridge.sync.delivery import held, repeats
from fhir_bridge.sync.delivery.job import End, Job, Outage, Stopped, Wait
from fhir_bridge.sync.pulling import apply

SETTLE = timedelta(minutes=10)
LOOKS = 3
NOT_NOW = (401, 403, 408, 409, 425, 429)  # to a search: not that there is no such search
REPEATABLE = ("put", "update", "patch", "delete", "match")


@dataclass(frozen=True, slots=True)
class Unsearchable:
    """This server answers no search that would find it: a person looks."""

    reason: str


Finding = Adopt | Nothing | Several | Unsearchable | Outage


def verify(job: Job, attempt: Attempt, *, writes: tuple[Write, ...], links: Mapping[str, Link]) -> End | None:
    """Find out what became of `attempt`, which made `writes`; None when it is known now and the delivery may go on.

    Raises `LeaseLost`.
    """
    known = held.known(links)
    findings = find_all(job, writes, known)
    for write, finding in findings:
        if (end := _hindrance(write, finding)) is not None:
            return end
    missing = [write for write, finding in findings if isinstance(finding, Nothing) and write.verb not in REPEATABLE]
    if missing and (times := looks(job.delivery) + 1) < LOOKS:
        after = SETTLE.total_seconds() / LOOKS
        return Wait(
            "not found at the hospital yet; the first call may still be running there", after=after, counted=False, doubt=True, looks=times
        )
    _adopt(job, attempt, findings, links=links, known=known)
    return None


def find_all(job: Job, writes: Sequence[Write], known: Mapping[str, str]) -> list[tuple[Write, Finding]]:
    """What the hospital shows for each of `writes`, in as few searches as it answers."""
    seen: dict[int, Finding] = {}  # by the write itself: one resource may be written more than once
    for call, members in together(writes, job.capabilities, known):
        reply = job.hospital.client.send(call)
        if isinstance(reply, Reply) and reply.status == 200 and is_whole(reply.body):
            seen |= {id(write): found(write, reply.body, known) for write in members}
    return [(write, seen.get(id(write)) or find(job, write, known)) for write in writes]


def find(job: Job, write: Write, known: Mapping[str, str]) -> Finding:
    """What the hospital shows for `write`, by the best search it answers."""
    for call in searches(write, job.capabilities, known):
        reply = job.hospital.client.send(call)
        if isinstance(reply, NoReply):
            return Outage(f"the hospital could not be searched: {reply.cause}", doubt=True)
        if reply.status == 200:
            if not _answers(write, reply):
                return Outage("the hospital answered a search with something else than FHIR", doubt=True)
            return found(write, _unclaimed(job, write, reply.body), known)
        if reply.status in (404, 410) and call.method == "GET":  # to a search it would mean that there is no such search
            return found(write, None, known)
        if reply.status in NOT_NOW or reply.status >= 500:
            return Outage(f"the hospital answered a search with {reply.status}", doubt=True)
    return Unsearchable("the hospital answers no search that would find it")


def _unclaimed(job: Job, write: Write, answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` without what is known to be another of our resources: the same finding of two sessions is alike in all that can be searched.

    Not so of patients: one registered twice here may well be one there.
    """
    entries = answer.get("entry") if answer.get("resourceType") == "Bundle" else None
    if not isinstance(entries, list) or write.key.startswith("Patient/"):
        return answer
    with job.bridge.store.reading() as tx:
        known = links.stamps(tx, job.delivery.tenant, job.delivery.hospital, [_reference(entry) for entry in entries])
    claimed = {theirs for theirs, ours in known.items() if write.key not in [key for key, _ in ours]}
    return {**answer, "entry": [entry for entry in entries if _reference(entry) not in claimed]}


def _reference(entry: Any) -> str:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return f"{resource.get('resourceType')}/{resource.get('id')}" if isinstance(resource, dict) else ""


def _answers(write: Write, reply: Reply) -> bool:
    """Whether a FHIR server speaks of `write`. A proxy's page of its own, or half an answer, must never count as "nothing found"."""
    return reply.resource_type in ("Bundle", write.key.partition("/")[0])


def _hindrance(write: Write, finding: Finding) -> End | None:
    match finding:
        case Outage():
            return finding
        case Several(ids):
            return Stopped("duplicates", (Fault(write.key, f"is there more than once ({len(ids)} seen); say which one is right"),))
        case Unsearchable(reason):
            return Stopped("unsearchable", (Fault(write.key, reason),))
        case _:
            return None


def _adopt(
    job: Job, attempt: Attempt, findings: list[tuple[Write, Finding]], *, links: Mapping[str, Link], known: Mapping[str, str]
) -> None:
    adopted = [(write, finding.entry) for write, finding in findings if isinstance(finding, Adopt)]
    known = held.known(links) | {entry.key: held.reference(entry) for _, entry in adopted}
    rows = [held.row(job, write, entry, known=known, adopted=links.get(write.key, Link(""))) for write, entry in adopted]
    with job.bridge.store.transaction() as tx:
        changed = apply.met(job.bridge, tx, tenant=job.delivery.tenant, hospital=job.delivery.hospital, shown=_shown(findings))
        held.keep(tx, job, [row for row in rows if row.ours not in changed])
        detail = documents.dumps({"looked_for": len(findings), "found": len(adopted)})
        outbox.finish_attempt(tx, job.lease, attempt, "found" if adopted else "absent", detail)
        outbox.settle(tx, job.lease, job.delivery, state="pending", detail=repeats.remembered(job.delivery))


def _shown(findings: list[tuple[Write, Finding]]) -> dict[str, dict[str, Any]]:
    """By our key, the documents that the look met, whether they hold what was written or not."""
    entries = [
        finding.entry if isinstance(finding, Adopt) else finding.met for _, finding in findings if isinstance(finding, Adopt | Nothing)
    ]
    return {entry.key: entry.document for entry in entries if entry is not None and entry.document}


def looks(delivery: Delivery) -> int:
    """How often this delivery was looked at in vain since its last call."""
    detail = documents.loads(delivery.detail) if delivery.detail else {}
    return int(detail.get("looks", 0)) if isinstance(detail, dict) else 0
