"""The one place where the end of a delivery's run is written down."""

from datetime import timedelta
from typing import Any, assert_never

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.hospital import retry
from fhir_bridge.store import audit, hospitals, links, outbox
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Delivery, Lease
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import repeats, waiting
from fhir_bridge.sync.delivery.job import Done, End, Outage, Overtaken, Stopped, Wait


def settle(tx: Transaction, bridge: Bridge, *, lease: Lease, delivery: Delivery, end: End) -> None:
    """Write `end` down: the delivery's state, what the breaker must know, and who did what. Raises `LeaseLost`.

    A lane that has nothing more to do now is given back in the same transaction.
    """
    _write(tx, bridge, lease=lease, delivery=delivery, end=end)
    if not isinstance(end, Overtaken) and outbox.next_delivery(tx, lease, tx.now) is None:
        outbox.release(tx, lease)


def _write(tx: Transaction, bridge: Bridge, *, lease: Lease, delivery: Delivery, end: End) -> None:
    match end:
        case Done(detail, unchanged, left):
            _speaks_for(tx, delivery, unchanged, left)
            reason = waiting.PART_WAITS if "waiting" in detail else None
            outbox.settle(tx, lease, delivery, state="delivered", reason=reason, detail=documents.dumps(detail))
            waiting.wake(tx, delivery)
            hospitals.succeeded(tx, delivery.tenant, delivery.hospital)
            _audit(tx, bridge, delivery, "delivered", _kept(tx, delivery))
        case Stopped(kind, faults, status):
            _stop(tx, bridge, lease=lease, delivery=delivery, end=Stopped(kind, faults, status))
        case Wait(told=told) if repeats.is_data_error(delivery, told):
            stopped = Stopped("data-error", (Fault("", end.reason),), told[0] if told else 0)
            _stop(tx, bridge, lease=lease, delivery=delivery, end=stopped)
        case Outage():
            _wait_for_hospital(tx, bridge, lease=lease, delivery=delivery, end=end)
        case Wait():
            _wait(tx, bridge, lease=lease, delivery=delivery, end=end)
        case Overtaken():
            pass
        case _:
            assert_never(end)


def _speaks_for(tx: Transaction, delivery: Delivery, keys: tuple[str, ...], left: tuple[str, ...]) -> None:
    """What was there already (the patient of an earlier session) speaks for this record too; a patient it was of before does not."""
    found = links.of_ours(tx, delivery.tenant, delivery.hospital, keys)
    links.put(tx, found, kind=delivery.kind, record_id=delivery.record_id)
    if left:
        links.leave(tx, delivery.tenant, delivery.hospital, left, kind=delivery.kind, record_id=delivery.record_id)


def _kept(tx: Transaction, delivery: Delivery) -> dict[str, bool]:
    """Whether the hospital keeps all of the record as sent, as far as it shows it."""
    found = links.verdicts(tx, delivery.tenant, delivery.kind, delivery.record_id, hospital=delivery.hospital)
    whole = [verdict["whole"] for verdict in map(documents.loads, found) if "whole" in verdict]
    return {"kept": all(whole)} if whole else {}


def _stop(tx: Transaction, bridge: Bridge, *, lease: Lease, delivery: Delivery, end: Stopped) -> None:
    if attempt := outbox.open_attempt(tx, delivery):
        outbox.finish_attempt(tx, lease, attempt, end.kind)
    detail = {"status": end.status, "faults": [_told(fault) for fault in end.faults]}
    outbox.settle(tx, lease, delivery, state="dead", reason=end.kind, detail=documents.dumps(detail))
    _audit(tx, bridge, delivery, "stopped", {"kind": end.kind})


def _wait(tx: Transaction, bridge: Bridge, *, lease: Lease, delivery: Delivery, end: Wait) -> None:
    age = (tx.now - delivery.created_at).total_seconds()
    if end.counted and retry.given_up(age):
        _stop(tx, bridge, lease=lease, delivery=delivery, end=Stopped("given-up", (Fault("", end.reason),)))
        return
    seconds = retry.delay(delivery.retries + 1, random=bridge.rng.random(), at_least=end.after)
    _postpone(tx, lease=lease, delivery=delivery, end=end, seconds=seconds)


def _wait_for_hospital(tx: Transaction, bridge: Bridge, *, lease: Lease, delivery: Delivery, end: Outage) -> None:
    failures = hospitals.of(tx, delivery.tenant, delivery.hospital).failures + 1
    seconds = retry.delay(failures, random=bridge.rng.random(), at_least=end.after)
    hospitals.failed(tx, delivery.tenant, delivery.hospital, wait=timedelta(seconds=seconds), why=end.reason, now=tx.now)
    _postpone(tx, lease=lease, delivery=delivery, end=end, seconds=seconds)


def _postpone(tx: Transaction, *, lease: Lease, delivery: Delivery, end: Wait, seconds: float) -> None:
    open_attempt = outbox.open_attempt(tx, delivery) is not None
    outbox.settle(
        tx, lease, delivery,
        state="ambiguous" if open_attempt else "retry_wait",
        reason=end.reason,
        detail=repeats.remembered(delivery, end.told, looks=end.looks),
        next_at=tx.now + timedelta(seconds=seconds),
        counted=end.counted and not isinstance(end, Outage),
    )  # fmt: skip


def _told(fault: Fault) -> dict[str, str]:
    return {"path": fault.path, "message": fault.message}


def _audit(tx: Transaction, bridge: Bridge, delivery: Delivery, action: str, detail: dict[str, Any]) -> None:
    audit.write(
        tx, tenant=delivery.tenant, actor="worker", action=action, subject=f"{delivery.kind}/{delivery.record_id}",
        detail={"hospital": delivery.hospital, "version": delivery.version, **detail}, now=tx.now, key=bridge.audit_key,
    )  # fmt: skip
