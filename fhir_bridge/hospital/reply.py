"""What an answer means for a delivery: a total function from step and reply to an outcome. Pure; the table is data.

`Ambiguous` is the answer whenever the write may have happened. A timeout is never a failure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from fhir_bridge.errors import Fault
from fhir_bridge.hospital.entries import Entry, entry_of, entry_reply
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.outcome import Said, read
from fhir_bridge.hospital.parts import Step, Write

__all__ = ["Ambiguous", "Dead", "Delivered", "Entry", "Mixed", "Outcome", "Retry", "judge", "same_fault"]

MAX_RETRY_AFTER = 6 * 3600.0  # seconds; as urllib3 caps it
_OUT = (502, 503, 504)
REPEATS_OF_ONE_FAULT = 5  # then a 5xx is a data error in disguise


@dataclass(frozen=True, slots=True)
class Delivered:
    """The hospital has it; `status` 202 means accepted and perhaps not yet visible."""

    entries: tuple[Entry, ...]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. `after`: at least so many seconds, when the hospital said so. `counts`: whether it uses up an attempt.

    `breaker`: the fault is the hospital's (down, sign-in, rate), so the breaker hears of it. `look`: read or search before the
    repeat, because the version changed or the first call may still be running in the server. `words` tell one fault from another.
    """

    reason: str
    after: float | None = None
    counts: bool = True
    breaker: bool = False
    look: bool = False
    status: int = 0
    words: str = ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may have been written: look at the hospital before anything is sent again."""

    cause: str
    status: int = 0
    after: float | None = None
    breaker: bool = False
    words: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """It will never go through as it is. `kind` is a word of `cards.py`; `keys` are the guilty entries when known.

    `divisible`: several writes went together and one of them may be to blame: `wire.halves(step)` finds it.
    """

    kind: str
    faults: tuple[Fault, ...]
    status: int = 0
    keys: tuple[str, ...] = ()
    divisible: bool = False


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch: each entry has its own outcome (`Delivered` holds one entry then), in the order of the step."""

    outcomes: tuple[tuple[str, "Delivered | Retry | Ambiguous | Dead"], ...]


Outcome = Delivered | Retry | Ambiguous | Dead | Mixed
One = Delivered | Retry | Ambiguous | Dead
_Act = Literal["dead", "gone", "sign-in", "forbidden", "race", "precondition", "too-large", "busy", "broken", "redirect"]

# The whole table of statuses that are not success. What is not named: 4xx is dead, 5xx is broken, the rest is ambiguous.
TABLE: Mapping[int, _Act] = {
    401: "sign-in",
    403: "forbidden",
    404: "gone",
    410: "gone",
    408: "broken",
    409: "race",
    412: "precondition",
    413: "too-large",
    425: "busy",
    429: "busy",
}

# Vendor codes inside OperationOutcome.issue.details.coding (Epic on FHIR, error codes). They decide before the status does.
VENDOR: Mapping[str, str] = {
    "59188": "flowsheet-missing",
    "59141": "duplicate",
    "4107": "patient-merged",
    "4130": "break-the-glass",
    "4131": "break-the-glass",
    "4134": "break-the-glass",
    "4127": "search-capped",
    "59133": "search-capped",
}


def judge(step: Step, reply: Reply | NoReply, *, now: datetime | None = None) -> Outcome:
    """What `reply` to `step` means. `now` is only used for a Retry-After date when the reply has no Date header."""
    if isinstance(reply, NoReply):
        return _silence(reply)
    if not 200 <= reply.status < 300:
        return _refusal(step, reply, now)
    return _single(step.writes[0], reply) if step.rung == "single" else _bundle(step, reply, now)


def same_fault(told: Sequence[tuple[int, str]], *, times: int = REPEATS_OF_ONE_FAULT) -> bool:
    """Whether the last `times` failures, as (status, words), were one 5xx with one text: a data error in disguise, so dead.

    Not what gateways and servers in maintenance say (502, 503, 504): that is an outage, and nothing dies of an outage.
    """
    last = told[-times:]
    status, words = last[-1] if last else (0, "")
    return len(last) == times and len(set(last)) == 1 and status >= 500 and status not in _OUT and bool(words)


def _silence(reply: NoReply) -> One:
    if reply.sent:
        return Ambiguous(reply.cause, breaker=True)
    return Retry(reply.cause, counts=False, breaker=True)


def _single(write: Write, reply: Reply) -> One:
    """A 2xx counts only when it looks like an answer of a FHIR server to this write: proxies answer 200 with a page of their own."""
    if reply.resource_type == "OperationOutcome" and (said := read(reply.body)).faults and not reply.header("Location"):
        return Ambiguous(f"a success that speaks of {len(said.faults)} error(s)", reply.status)
    if reply.raw_size and reply.body is None:
        kind = "HTML" if "html" in reply.content_type.lower() else "no readable FHIR JSON"
        return Ambiguous(f"a success whose body is {kind}", reply.status)
    entry = entry_of(write, reply)
    if entry is None:
        return Ambiguous("a success that does not say what was stored", reply.status)
    return Delivered((entry,), reply.status)


def _bundle(step: Step, reply: Reply, now: datetime | None) -> Outcome:
    """Entries answer in the order they were asked; a shorter answer means an entry was lost without a word (seen on HAPI)."""
    expected = f"{step.rung}-response"
    entries = reply.body.get("entry", []) if isinstance(reply.body, dict) else None
    if reply.resource_type != "Bundle" or not isinstance(entries, list):
        return Ambiguous("a success that is not the Bundle asked for", reply.status)
    if reply.body.get("type") != expected or len(entries) != len(step.writes):
        return Ambiguous(f"{len(step.writes)} entries were sent and {len(entries)} answered", reply.status)
    outcomes: list[tuple[str, One]] = []
    for write, answer in zip(step.writes, entries, strict=True):
        outcomes.append((write.key, _entry(write, answer, reply, now)))
    if all(isinstance(outcome, Delivered) for _, outcome in outcomes):
        return Delivered(tuple(each for _, outcome in outcomes if isinstance(outcome, Delivered) for each in outcome.entries), reply.status)
    if step.rung == "transaction":
        return Ambiguous("a transaction that succeeded in part", reply.status)
    return Mixed(tuple(outcomes))


def _entry(write: Write, answer: Any, whole: Reply, now: datetime | None) -> One:
    reply = entry_reply(answer, whole)
    outcome = judge(Step("single", (write,), ""), reply, now=now)
    return outcome if not isinstance(outcome, Mixed) else Ambiguous("an entry that is a Bundle")


def _refusal(step: Step, reply: Reply, now: datetime | None) -> One:
    said = read(reply.body)
    vendor = next((VENDOR[code] for code in sorted(said.codes) if code in VENDOR), None)
    if vendor is not None or "duplicate" in said.types:
        return _vendor(step, reply, said, vendor or "duplicate")
    return _by_status(step, reply, said, now)


def _vendor(step: Step, reply: Reply, said: Said, kind: str) -> One:
    if kind == "duplicate":
        return Ambiguous("the server says it already has it", reply.status)
    return _dead(step, reply, said, kind)


def _by_status(step: Step, reply: Reply, said: Said, now: datetime | None) -> One:
    status, after = reply.status, retry_after(reply, now)
    words = said.faults[0].message if said.faults else ""
    act = TABLE.get(status) or _by_class(status)
    if act == "sign-in":
        return Retry("the hospital refused our sign-in, twice", after, counts=False, breaker=True, status=status)
    if act == "forbidden":
        return Retry("the hospital refuses our client: scope or registration", after, counts=False, breaker=True, status=status)
    if act == "busy":
        return Retry("the hospital asks us to slow down", after, counts=False, breaker=True, status=status)
    if act == "race":
        return Retry("somebody else wrote there at the same time", after, look=True, status=status, words=words)
    if act == "precondition":
        return _precondition(step, reply, said)
    if act == "broken":
        return _broken(step, status, after, words)
    if act == "redirect":
        return _dead(step, reply, said, "redirected")
    return _dead(step, reply, said, {"gone": "target-gone", "too-large": "too-large"}.get(act, "refused"))


def _by_class(status: int) -> _Act:
    if 300 <= status < 400:
        return "redirect"
    return "dead" if 400 <= status < 500 else "broken"


def _precondition(step: Step, reply: Reply, said: Said) -> One:
    """412: of If-Match, the version changed; of a condition, the hospital holds several with our identifier."""
    conditional = any(write.verb in ("create-if-none", "put-if-one") for write in step.writes)
    if conditional and not any(write.etag for write in step.writes):
        return _dead(step, reply, said, "duplicates-at-hospital")
    return Retry("the version at the hospital changed", look=True, status=reply.status)


def _broken(step: Step, status: int, after: float | None, words: str) -> One:
    """5xx, 408: the write may have been committed first. Writes that may be repeated as they are need no look; others do."""
    verbs = {write.verb for write in step.writes}
    reason = f"the hospital failed with status {status}"
    if verbs <= {"put", "match", "delete"}:
        return Retry(reason, after, counts=False, breaker=True, status=status, words=words)
    if verbs <= {"put", "match", "delete", "create-if-none", "put-if-one"}:
        return Retry(reason, after, counts=False, breaker=True, look=True, status=status, words=words)
    return Ambiguous(reason, status, after, breaker=True, words=words)


def _dead(step: Step, reply: Reply, said: Said, kind: str) -> Dead:
    faults = said.faults or (Fault("", f"the server answered {reply.status} and gave no reason"),)
    guilty = tuple(step.writes[number].key for number in said.entries if number < len(step.writes))
    several = len(step.writes) > 1 and kind != "redirected"
    return Dead(kind, faults, reply.status, guilty or (() if several else step.keys), divisible=several)


def retry_after(reply: Reply, now: datetime | None) -> float | None:
    """Seconds the hospital asks us to wait: Retry-After as seconds or as a date (RFC 9110, 10.2.3), at most six hours."""
    value = reply.header("Retry-After").strip()
    if not value:
        return None
    if value.isdecimal() and value.isascii():
        return float(min(int(value[:9]), int(MAX_RETRY_AFTER)))
    then, since = _date(value), _date(reply.header("Date")) or now
    if then is None or since is None:
        return None
    return min(max((then - since).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
