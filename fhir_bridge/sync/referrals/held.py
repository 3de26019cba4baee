"""What we hold of a sender's referrals, read as FHIR: its versions, and nobody else's."""

from http import HTTPStatus

from fhir_bridge import documents
from fhir_bridge.store import records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.records import Stored
from fhir_bridge.store.referral_search import OneOf
from fhir_bridge.store.referrals import Standing
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import focus, search, unread
from fhir_bridge.sync.referrals.answers import Answer, Held, held
from fhir_bridge.sync.referrals.query import COLUMNS, Query
from fhir_bridge.sync.referrals.shape import TASK


def read(bridge: Bridge, client: Client, kind: str, resource_id: str) -> Answer | None:
    """The newest version of a resource of one of this sender's referrals; None for any other id."""
    page = search.run(bridge, client, Query(kind, ((OneOf(COLUMNS[kind], (resource_id,)),),), count=1))
    if page.found:
        return _answer(page.found[0], kind)
    return unread.refusal(bridge, client, kind, resource_id) or (_asked_for(bridge, client, resource_id) if kind == TASK else None)


def _asked_for(bridge: Bridge, client: Client, id: str) -> Answer | None:
    """A Task whose order is fetched at its sender, under the id it was answered with."""
    found = focus.read(bridge, client, id)
    if found is None or isinstance(found, Held):
        return _answer(found, TASK) if found else None
    with bridge.store.reading() as tx:
        stored = records.current(tx, client.tenant, "referral", found.referral or "")
    return focus.as_asked(_answer(_held(bridge, client, stored), TASK), id) if stored else None


def referral_of(bridge: Bridge, client: Client, kind: str, resource_id: str) -> str | None:
    """The number of this sender's referral one of whose resources has this id; empty while a Task's order is not there. None for others."""
    with bridge.store.reading() as tx:
        standing = _own(referrals.by_resource(tx, client.tenant, client.id, resource_id), kind, resource_id)
    if standing or kind != TASK:
        return standing.id if standing else None
    found = focus.read(bridge, client, resource_id)
    return "" if isinstance(found, Held) else found.referral if found else None


def version(bridge: Bridge, client: Client, kind: str, resource_id: str, number: int) -> Answer | None:
    """One version of a ServiceRequest or Task; None when there is none."""
    unread.catch_up(bridge, client.tenant)
    with bridge.store.reading() as tx:
        standing = _own(referrals.by_resource(tx, client.tenant, client.id, resource_id), kind, resource_id)
        stored = records.version(tx, client.tenant, "referral", standing.id, number) if standing else None
    return _answer(_held(bridge, client, stored), kind) if stored else None


def history(bridge: Bridge, client: Client, kind: str, resource_id: str) -> list[Held]:
    """Every version of a ServiceRequest or Task, the newest first; none for an id that is not this sender's."""
    unread.catch_up(bridge, client.tenant)
    with bridge.store.reading() as tx:
        standing = _own(referrals.by_resource(tx, client.tenant, client.id, resource_id), kind, resource_id)
        stored = records.versions(tx, client.tenant, "referral", standing.id) if standing else []
    return [_held(bridge, client, one) for one in reversed(stored)]


def _own(standing: Standing | None, kind: str, resource_id: str) -> Standing | None:
    return standing if standing and getattr(standing, COLUMNS[kind]) == resource_id else None


def _held(bridge: Bridge, client: Client, stored: Stored) -> Held:
    return held(bridge.sites[client.tenant], documents.loads(stored.document, max_bytes=len(stored.document)), stored.stored_at)


def _answer(found: Held, kind: str) -> Answer:
    return Answer(HTTPStatus.OK, found.resources[kind], found.headers(kind))
