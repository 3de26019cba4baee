"""A server that fails with the same words every time fails because of what it is sent: after five times a person reads it.

What it said is remembered as status and digest in the delivery's detail, never as words: they may repeat a patient's values.
"""

from hashlib import sha256
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital.reply import REPEATS_OF_ONE_FAULT, Ambiguous, Retry, same_fault
from fhir_bridge.store.outbox import Delivery

Told = tuple[int, str]


def told(outcome: Retry | Ambiguous) -> Told | None:
    """What the server said of itself with a 5xx; None when it said nothing that could be told from another failure."""
    if outcome.status < 500 or not outcome.words:
        return None
    return outcome.status, sha256(outcome.words.encode()).hexdigest()[:16]


def so_far(delivery: Delivery, now: Told | None = None) -> list[Told]:
    """What it said the last times, the last last, `now` included."""
    detail: Any = documents.loads(delivery.detail) if delivery.detail else {}
    before = [(int(status), str(words)) for status, words in detail.get("told", ())]
    return [*before, now][-REPEATS_OF_ONE_FAULT:] if now else before


def remembered(delivery: Delivery, now: Told | None = None, **more: Any) -> bytes | None:
    """The detail that a delivery waits with."""
    found = {"told": so_far(delivery, now), **more}
    found = {name: value for name, value in found.items() if value}
    return documents.dumps(found) if found else None


def is_data_error(delivery: Delivery, now: Told | None) -> bool:
    """Whether the server said the same with each of the last calls."""
    return now is not None and same_fault(so_far(delivery, now))
