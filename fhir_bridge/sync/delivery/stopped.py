"""What a person may do with stopped deliveries: try again, or give up with a reason, one or many. Each is in the audit trail.

Many are done in transactions of a few, so an interrupted run has done part of it, and the same command again does the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.cards import card
from fhir_bridge.store import audit, dead_letters
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Delivery
from fhir_bridge.sync.bridge import Bridge

AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Which:
    """The stopped deliveries of one site: all, or those to one hospital, or those of one reason word (`refused`, `duplicates` …)."""

    tenant: str
    hospital: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many were acted on, and how many were left because trying again could make a second record."""

    done: int
    left: int = 0


def retry(bridge: Bridge, *, tenant: str, id: str, who: str, why: str = "") -> None:
    """Run the dead delivery `id` (`hospital/lane/seq`) again. Raises `Refused` for an unknown one, `NotDead` for one that is not dead."""
    with bridge.store.transaction() as tx:
        _retry(bridge, tx, _found(tx, tenant, id), who, why)


def discard(bridge: Bridge, *, tenant: str, id: str, who: str, why: str) -> None:
    """Give the dead delivery `id` up for good. Raises as `retry` does."""
    with bridge.store.transaction() as tx:
        _discard(bridge, tx, _found(tx, tenant, id), who, why)


def retry_many(bridge: Bridge, which: Which, *, who: str, why: str = "") -> Count:
    """Run again all that stopped before now and whose card says that this is safe."""
    return _each(bridge, which, lambda tx, delivery: _retry(bridge, tx, delivery, who, why), only_safe=True)


def discard_many(bridge: Bridge, which: Which, *, who: str, why: str) -> Count:
    """Give up all that stopped before now."""
    return _each(bridge, which, lambda tx, delivery: _discard(bridge, tx, delivery, who, why), only_safe=False)


def _each(bridge: Bridge, which: Which, act: Callable[[Transaction, Delivery], None], *, only_safe: bool) -> Count:
    """What stops while this runs is not touched: it has not been seen by anybody."""
    begun, done, left = None, 0, 0
    while True:
        with bridge.store.transaction() as tx:
            begun = begun or tx.now
            found = dead_letters.stopped_before(
                tx, which.tenant, begun, hospital=which.hospital, reason=which.reason, limit=AT_ONCE + left
            )[left:]  # fmt: skip
            fit = [delivery for delivery in found if not only_safe or card(delivery.reason or "").retry_safe]
            for delivery in fit:
                act(tx, delivery)
        fault_point("R1")
        done, left = done + len(fit), left + len(found) - len(fit)
        if len(found) < AT_ONCE:
            return Count(done, left)


def _retry(bridge: Bridge, tx: Transaction, delivery: Delivery, who: str, why: str) -> None:
    dead_letters.replay(tx, delivery, who)
    _audit(bridge, tx, delivery, "retry", who, why)


def _discard(bridge: Bridge, tx: Transaction, delivery: Delivery, who: str, why: str) -> None:
    dead_letters.discard(tx, delivery, who, why)
    fault_point("R2")
    _audit(bridge, tx, delivery, "discard", who, why)


def _audit(bridge: Bridge, tx: Transaction, delivery: Delivery, action: str, who: str, why: str) -> None:
    audit.write(
        tx, tenant=delivery.tenant, actor=who, action=action, subject=delivery.id,
        detail={**_of(delivery), **({"why": why} if why else {})}, now=tx.now, key=bridge.audit_key,
    )  # fmt: skip


def _of(delivery: Delivery) -> dict[str, Any]:
    return {"hospital": delivery.hospital, "record": f"{delivery.kind}/{delivery.record_id}", "version": delivery.version}


def _found(tx: Transaction, tenant: str, id: str) -> Delivery:
    if (delivery := dead_letters.delivery(tx, tenant, id)) is None:
        raise Refused([Fault("delivery", "no delivery of this site has that id; `fhir-bridge status` lists the stopped ones")])
    return delivery
