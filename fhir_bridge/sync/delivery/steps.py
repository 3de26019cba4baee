"""The steps of one plan, taken in order: what each came to is stored, with its attempt's outcome, in one transaction.

It is the transaction that begins the next attempt, or settles the delivery, where nothing is asked of the hospital in between. A
process that dies before it has left an attempt without an outcome, as one that dies before the answer came: the next one looks.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fhir_bridge.errors import Fault
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital import wire
from fhir_bridge.hospital.graph import renamed
from fhir_bridge.hospital.parts import Link, Step, Write
from fhir_bridge.hospital.plan import NEVER_SENT, Plan
from fhir_bridge.hospital.reply import Entry
from fhir_bridge.hospital.verify import Adopt, Nothing, Several
from fhir_bridge.store import links as stored_links
from fhir_bridge.store import outbox
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Attempt
from fhir_bridge.sync.delivery import call, held, look, visible
from fhir_bridge.sync.delivery.call import Result
from fhir_bridge.sync.delivery.job import Done, End, Job, Outage, Overtaken, Stopped
from fhir_bridge.sync.delivery.settle import settle


@dataclass(frozen=True, slots=True)
class _Answered:
    """What a call came to, not yet stored."""

    attempt: Attempt
    word: str | None
    rows: tuple[stored_links.Link, ...]

    def store(self, tx: Transaction, job: Job) -> None:
        if self.word is not None:
            outbox.finish_attempt(tx, job.lease, self.attempt, self.word)
        held.keep(tx, job, self.rows)


def take_all(job: Job, planned: Plan, links: dict[str, Link]) -> End:
    """Take every step; `links` grows with what the hospital holds. `Done` is written down here, every other end by the caller.

    Raises `LeaseLost`.
    """
    done = Done(_otherwise(planned), tuple(one.key for one in planned.unchanged), _left(planned, links))
    steps = deque(planned.steps)
    unseen = len(visible.hidden(links))
    last: _Answered | None = None
    while steps:
        step = steps.popleft()
        if last and _asks(step):
            _stored(job, last)
            last = None
        left = _not_there_yet(job, step, links)
        if not isinstance(left, Step):
            return left
        if not left.writes:
            continue
        result, last = _take(job, left, links, last)
        unseen += _unseen(left, result.entries)
        if result.divide:
            steps.extendleft(reversed(wire.halves(left)))
        elif result.end is not None:
            _stored(job, last)
            return result.end
        fault_point("O11")
    if unseen and (later := visible.look_later(job.delivery)):
        _stored(job, last)
        return later
    _stored(job, last, done)
    return done


def _asks(step: Step) -> bool:
    """Whether the hospital is asked something before the step's own call."""
    return any(write.look_first or write.read_first for write in step.writes)


def _take(job: Job, step: Step, links: dict[str, Link], before: _Answered | None) -> tuple[Result, _Answered | None]:
    """The step's call, and what is to be stored of it; what the call `before` came to is stored as it begins."""
    request = call.call_of(job, step, links)
    if isinstance(request, Outage):
        _stored(job, before)
        return Result(None, end=request), None
    attempt = call.begin(job, step, request, first=lambda tx: before.store(tx, job) if before else None)
    if attempt is None:
        return Result(None, end=Overtaken()), None
    fault_point("O3")
    result = call.make(job, step, attempt, request)
    writes = {write.key: write for write in step.writes}
    known = renamed(held.known(links) | {entry.key: held.reference(entry) for entry in result.entries})
    rows = tuple(held.row(job, writes[entry.key], entry, known=known) for entry in result.entries)
    for entry in result.entries:
        links[entry.key] = held.link_of(entry, sent=writes[entry.key].ours or writes[entry.key].resource)
    return result, _Answered(attempt, result.word, rows)


def _stored(job: Job, answered: _Answered | None, done: Done | None = None) -> None:
    """Store what a call came to, and that the delivery is done with it, if it is."""
    if answered is None and done is None:
        return
    with job.bridge.store.transaction() as tx:
        if answered:
            answered.store(tx, job)
        if done:
            settle(tx, job.bridge, lease=job.lease, delivery=job.delivery, end=done)
    fault_point("O10")


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
        "unsent": [{"key": one.key, "reason": one.reason} for one in planned.unchanged if one.reason == NEVER_SENT],
    }
    return {way: found for way, found in ways.items() if found}
