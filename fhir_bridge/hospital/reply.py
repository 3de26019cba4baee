"""What an answer means for a delivery: a total function from step and reply to one of five outcomes. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_bridge.errors import Fault
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.plan import Step

MAX_RETRY_AFTER = 6 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Entry:
    """What the hospital holds now for `key`. `id` may be empty when the server did not say it (conditional update without Location)."""

    key: str
    id: str
    version: str = ""
    etag: str = ""
    document: dict[str, Any] | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Delivered:
    """The hospital has it; `status` 202 means accepted and perhaps not yet visible."""

    entries: tuple[Entry, ...]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again. `after`: at least so many seconds, when the hospital said so. `counts`: whether it uses up an attempt.

    `breaker`: the fault is the hospital's (down, sign-in, rate), so the breaker hears of it. `look`: read or search before the
    repeat, because the version changed or the first call may still be running in the server.
    """

    reason: str
    after: float | None = None
    counts: bool = True
    breaker: bool = False
    look: bool = False
    status: int = 0


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may have been written: look at the hospital before anything is sent again."""

    cause: str
    status: int = 0


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


def judge(step: Step, reply: Reply | NoReply, *, now: datetime | None = None) -> Outcome:
    """What `reply` to `step` means. `now` is only used for a Retry-After date when the reply has no Date header."""
    raise NotImplementedError


def alarm_after_repeats(outcomes: list[Retry], *, times: int = 5) -> bool:
    """Whether the last `times` outcomes were the same 5xx with the same words: a data error in disguise, so dead."""
    raise NotImplementedError
