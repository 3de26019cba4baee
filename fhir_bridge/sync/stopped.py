"""What a person may do with a stopped delivery: try it again, or give it up with a reason. Both are written into the audit trail."""

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import audit, dead_letters
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Delivery
from fhir_bridge.sync.bridge import Bridge


def retry(bridge: Bridge, *, tenant: str, id: str, who: str) -> None:
    """Run the dead delivery `id` (`hospital/lane/seq`) again. Raises `Refused` for an unknown one, `NotDead` for one that is not dead."""
    with bridge.store.transaction() as tx:
        delivery = _found(tx, tenant, id)
        dead_letters.replay(tx, delivery, who)
        audit.write(tx, tenant=tenant, actor=who, action="retry", subject=id, detail={}, now=tx.now, key=bridge.audit_key)


def discard(bridge: Bridge, *, tenant: str, id: str, who: str, why: str) -> None:
    """Give the dead delivery `id` up for good. Raises as `retry` does."""
    with bridge.store.transaction() as tx:
        delivery = _found(tx, tenant, id)
        dead_letters.discard(tx, delivery, who, why)
        audit.write(tx, tenant=tenant, actor=who, action="discard", subject=id, detail={"why": why}, now=tx.now, key=bridge.audit_key)


def _found(tx: Transaction, tenant: str, id: str) -> Delivery:
    if (delivery := dead_letters.delivery(tx, tenant, id)) is None:
        raise Refused([Fault("delivery", "no delivery of this site has that id; `fhir-bridge status` lists the stopped ones")])
    return delivery
