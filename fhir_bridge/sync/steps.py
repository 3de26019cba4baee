"""The steps of one plan, taken in order: what each came to is stored, with its attempt's outcome, in one transaction."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from fhir_bridge.errors import Fault
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital import wire
from fhir_bridge.hospital.parts import Link, Step, Write
from fhir_bridge.hospital.plan import Plan
from fhir_bridge.hospital.reply import Entry
from fhir_bridge.hospital.verify import Adopt, Nothing, Several
from fhir_bridge.store import outbox
from fhir_bridge.store.outbox import Attempt
from fhir_bridge.sync import call, held, look, visible
from fhir_bridge.sync.call import Result
from fhir_bridge.sync.job import Done, End, Job, Outage, Overtaken, Stopped
from fhir_bridge.sync.settle import settle


def take_all(job: Job, planned: Plan, links: dict[str, Link]) -> End:
    """Take every step; `links` grows with what the hospital holds. `Done` is written down here, every other end by the caller.

    Raises `LeaseLost`.
    """
    done = Done(_otherwise(planned), tuple(one.key for one in planned.unchanged), _left(planned, links))
    steps = deque(planned.steps)
    unseen = len(visible.hidden(links))
    while steps:
        step = _not_there_yet(job, steps.popleft(), links)
        if not isinstance(step, Step):
            return step
        if not step.writes:
            continue
        result = _take(job, step, links, last=None if steps or unseen else done)
        unseen += _unseen(step, result.entries)
        if result.divide:
            steps.extendleft(reversed(wire.halves(step)))
        elif result.end is not None:
            return result.end
        elif not (steps or unseen):
            return done
        fault_point("O11")
    if unseen and (later := visible.look_later(job.delivery)):
        return later
    with job.bridge.store.transaction() as tx:
        settle(tx, job.bridge, lease=job.lease, delivery=job.delivery, end=done)
    return done


def _take(job: Job, step: Step, links: dict[str, Link], *, last: Done | None) -> Result:
    request = call.call_of(job, step, links)
    if isinstance(request, Outage):
        return Result(None, end=request)
    attempt = call.begin(job, step, request)
    if attempt is None:
        return Result(None, end=Overtaken())
    fault_point("O3")
    result = call.make(job, step, attempt, request)
    _store(job, step, attempt, result, links=links, last=last)
    fault_point("O10")
    return result


def _store(job: Job, step: Step, attempt: Attempt, result: Result, *, links: dict[str, Link], last: Done | None) -> None:
    writes = {write.key: write for write in step.writes}
    known = held.known(links) | {entry.key: held.reference(entry) for entry in result.entries}
    rows = [held.row(job, writes[entry.key], entry, known=known) for entry in result.entries]
    with job.bridge.store.transaction() as tx:
        if result.word is not None:
            outbox.finish_attempt(tx, job.lease, attempt, result.word)
        held.keep(tx, job, rows)
        if result.word == "delivered" and last and not _unseen(step, result.entries):
            settle(tx, job.bridge, lease=job.lease, delivery=job.delivery, end=last)
    for entry in result.entries:
        links[entry.key] = held.link_of(entry, sent=writes[entry.key].ours or writes[entry.key].resource)


def _unseen(step: Step, entries: Iterable[Entry]) -> int:
    """How many of `entries` the hospital took and does not show; what is deleted is not to be shown."""
    gone = {write.key for write in step.writes if write.verb == "delete"}
    return sum(entry.document is None and entry.key not in gone for entry in entries)


def _not_there_yet(job: Job, step: Step, links: dict[str, Link]) -> Step | End:
    """`step` without the writes that a look found to be there already; an end when the look says that nothing may be sent."""
    left: list[Write] = []
    for write in step.writes:
        if write.look_first and write.key not in links and (end := _looked(job, write, links)) is not None:
            return end
        if not (write.look_first and write.key in links):
            left.append(write)
    return replace(step, writes=tuple(left))


def _looked(job: Job, write: Write, links: dict[str, Link]) -> End | None:
    match look.find(job, write, held.known(links)):
        case Adopt(entry):
            row = held.row(job, write, entry, known=held.known(links), adopted=Link(""))
            with job.bridge.store.transaction() as tx:
                held.keep(tx, job, [row])
            links[write.key] = held.link_of(entry, sent=None)
            return None
        case Nothing():
            return Stopped("patient-unknown", (Fault(write.key, "is not there"),)) if write.verb == "match" else None
        case Several(ids):
            return Stopped("duplicates", (Fault(write.key, f"is there more than once ({len(ids)} seen); say which one is right"),))
        case look.Unsearchable(reason):
            unseen = write.verb != "match" and not _left_in_doubt(job)
            return None if unseen else Stopped("unsearchable", (Fault(write.key, reason),))
        case Outage() as outage:
            return replace(outage, doubt=False)


def _left_in_doubt(job: Job) -> bool:
    """Whether an earlier version was given up because nobody could look. Else what has no link was never sent: no look is needed."""
    delivery = job.delivery
    with job.bridge.store.reading() as tx:
        same = outbox.of_record(tx, delivery.tenant, delivery.kind, delivery.record_id)
        earlier = [each for each in same if each.hospital == delivery.hospital and each.version < delivery.version]
        return any(attempt.outcome == "unsearchable" for each in earlier for attempt in outbox.attempts_of(tx, each))


def _left(planned: Plan, links: dict[str, Link]) -> tuple[str, ...]:
    """The patients the record was of in an earlier version: they stay at the hospital, and are the record's no more."""
    stays = {one.key for one in planned.unchanged} | {write.key for step in planned.steps for write in step.writes}
    stays |= {one["key"] for way in _otherwise(planned).values() for one in way}
    return tuple(key for key in links if key.startswith("Patient/") and key not in stays)


def _otherwise(planned: Plan) -> dict[str, list[dict[str, str]]]:
    """What of the record goes another way than as its own resource, and why."""
    ways = {
        "folded": [{"key": one.key, "into": one.into, "reason": one.reason} for one in planned.folded],
        "work": [{"key": one.key, "reason": one.reason} for one in planned.work],
        "waiting": [{"key": one.key, "reason": one.reason} for one in planned.waiting],
    }
    return {way: found for way, found in ways.items() if found}
