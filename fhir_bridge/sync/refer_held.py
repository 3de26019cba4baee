"""What we hold of a sender's referrals, read as FHIR: its newest version, and nobody else's."""

from http import HTTPStatus

from fhir_bridge import documents
from fhir_bridge.store import records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.refer_answers import Answer, held


def read(bridge: Bridge, client: Client, kind: str, resource_id: str) -> Answer | None:
    """The ServiceRequest or Task of one of this sender's referrals; None for any other id."""
    with bridge.store.reading() as tx:
        standing = referrals.by_resource(tx, client.tenant, client.id, resource_id)
        stored = records.current(tx, client.tenant, "referral", standing.id) if standing else None
    if stored is None:
        return None
    found = held(bridge.sites[client.tenant], documents.loads(stored.document, max_bytes=len(stored.document)), stored.stored_at)
    if found.resources[kind]["id"] != resource_id:
        return None
    return Answer(HTTPStatus.OK, found.resources[kind], found.headers(kind))
