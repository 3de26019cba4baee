"""One step of a plan: the attempt written down before the bytes leave, the call, and what its answer means, as a value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import assert_never

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital import wire
from fhir_bridge.hospital.client import Call, Reply
from fhir_bridge.hospital.parts import Link, Step
from fhir_bridge.hospital.reply import Ambiguous, Dead, Delivered, Entry, Mixed, Outcome, Retry, judge
from fhir_bridge.store import outbox
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Attempt
from fhir_bridge.sync.delivery import held, repeats
from fhir_bridge.sync.delivery.job import End, Job, Outage, Stopped, Wait

TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class Result:
    """What a call came to. `word` is the attempt's outcome, None while nobody knows; `end` is None when the delivery goes on."""

    word: str | None
    entries: tuple[Entry, ...] = ()
    end: End | None = None
    divide: bool = False


def label(step: Step) -> str:
    """What an attempt says of its step, so that whoever finds it unfinished knows the step again."""
    return f"{step.rung}:{sha256(' '.join(step.keys).encode()).hexdigest()[:16]}"


def begin(job: Job, step: Step, call: Call, *, first: Callable[[Transaction], None]) -> Attempt | None:
    """Write the attempt down, after `first` has written, and commit; None when the delivery was superseded. Raises `LeaseLost`."""
    with job.bridge.store.transaction() as tx:
        first(tx)
        if (job.lease.until - tx.now).total_seconds() < 2 * job.bridge.deadline_seconds:
            outbox.renew(tx, job.lease, seconds=job.bridge.lease_seconds)
        body = documents.dumps(call.body)
        return outbox.begin_attempt(
            tx, job.lease, job.delivery, step=label(step), request_id=job.bridge.new_id(), body_sha256=sha256(body).hexdigest()
        )


def make(job: Job, step: Step, attempt: Attempt, call: Call) -> Result:
    """Make the call and judge its answer; what was written is read back."""
    fault_point("O4")
    reply = job.hospital.client.send(call, request_id=attempt.request_id)
    fault_point("O8")
    result = result_of(judge(step, reply, now=job.bridge.clock()), step)
    return Result(result.word, tuple(held.read_back(job, result.entries)), result.end, result.divide)


def call_of(job: Job, step: Step, links: Mapping[str, Link]) -> Call | Outage:
    """The request of `step`, the ETag of what must be read first taken from the hospital now."""
    etags: dict[str, str] = {}
    for write in step.writes:
        if write.read_first:
            reply = job.hospital.client.send(Call("GET", f"{write.key.partition('/')[0]}/{write.target}"))
            if not isinstance(reply, Reply):
                return Outage(f"the hospital could not be read: {reply.cause}")
            if reply.status == 200 and (etag := reply.header("etag")):
                etags[write.key] = etag
    return wire.call_of(step, held.known(links), etags=etags)


def result_of(outcome: Outcome, step: Step) -> Result:
    """What `outcome` means for the attempt and the delivery. Pure and total."""
    match outcome:
        case Delivered(entries):
            return Result("delivered", entries)
        case Retry():
            wait = _wait(outcome)
            return Result(None if wait.doubt else "retry", end=wait)
        case Ambiguous():
            waits = Outage if outcome.breaker else Wait
            return Result(None, end=waits(outcome.cause, after=outcome.after, doubt=True, told=repeats.told(outcome)))
        case Dead(kind, faults, status, keys):
            if _divides(outcome, step):
                return Result(kind, divide=True)
            return Result("refused", end=Stopped(kind, (*_guilty(step, keys), *faults), status))
        case Mixed(outcomes):
            return _worst([result_of(one, step) for _, one in outcomes])
        case _:
            assert_never(outcome)


def _wait(retry: Retry) -> Wait:
    kind = Outage if retry.breaker else Wait
    return kind(retry.reason, after=retry.after, counted=retry.counts, doubt=retry.look, told=repeats.told(retry))


def _divides(dead: Dead, step: Step) -> bool:
    """Whether halves of the step are tried: always of one that is too large, and of a refused batch, whose entries stand alone.

    A refused transaction stays refused: all or nothing is what was asked for. Its guilty entries are named where the server does.
    """
    return dead.divisible and len(step.writes) > 1 and (dead.status == TOO_LARGE or step.rung == "batch")


def _guilty(step: Step, keys: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(Fault(key, "is what the server speaks of") for key in keys) if len(step.writes) > 1 else ()


def _worst(results: list[Result]) -> Result:
    """A batch: what came through is kept; the worst of the rest decides how it goes on."""
    entries = tuple(entry for result in results for entry in result.entries)
    ends = [result.end for result in results if result.end]
    stopped = [end for end in ends if isinstance(end, Stopped)]
    if stopped:
        faults: tuple[Fault, ...] = tuple(fault for end in stopped for fault in end.faults)
        return Result("mixed", entries, Stopped(stopped[0].kind, faults, stopped[0].status))
    doubtful = [end for end in ends if isinstance(end, Wait) and end.doubt]
    if doubtful:
        return Result(None, entries, doubtful[0])
    return Result("mixed", entries, ends[0] if ends else None)
