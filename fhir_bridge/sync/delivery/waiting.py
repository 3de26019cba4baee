"""Part of a record may have to wait for another record's: a day's session for the hospital stay it belongs to, which ends days later.

When that part has reached the hospital, the records that waited for it go on by themselves.
"""

from fhir_bridge import documents
from fhir_bridge.store import links, outbox
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Delivery

PART_WAITS = "part of it waits until the record, or another one, is further on"


def wake(tx: Transaction, delivery: Delivery) -> None:
    """Put on their way again what of this patient was delivered in part, if something it waited for is there since."""
    for other in outbox.delivered_with(tx, delivery, reason=PART_WAITS):
        detail = documents.loads(other.detail) if other.detail else {}
        awaited = links.of_ours(tx, other.tenant, other.hospital, [one["key"] for one in detail.get("waiting", ())])
        if any(link.updated_at > other.changed_at for link in awaited):
            outbox.enqueue(
                tx, tenant=other.tenant, hospital=other.hospital, lane=other.lane, kind=other.kind, record_id=other.record_id,
                version=other.version, now=tx.now,
            )  # fmt: skip
