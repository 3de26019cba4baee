"""A transaction like one that was read before is stored as it came and answered at once; what is in it is read afterwards.

Like it: the same elements and codes, whatever the values. So what a sender does wrong is still told at once, and only a value that
the clinic's schema refuses is found later: then a person is shown it, and the sender reads it where its order would be.
Whoever looks at referrals reads first what waits (`catch_up`), and so does the worker; nobody sees a referral missing.
"""

import logging
from collections.abc import Hashable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.store import audit, clients, referrals
from fhir_bridge.store import unread as rows
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import StoreError, Transaction
from fhir_bridge.store.records import VersionTaken
from fhir_bridge.store.unread import Unread
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.referrals import answers, taking
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals.answers import Answer, Held
from fhir_bridge.sync.referrals.shape import ORDER, TASK, TRANSACTION, Incoming

log = logging.getLogger(__name__)
AT_ONCE = 50
#: likenesses remembered; a hospital has dozens
MOST_FAMILIAR = 10_000
#: the elements whose values decide how a message is read
_TELLING = frozenset({"resourceType", "type", "system", "code", "use", "status", "intent", "priority", "gender", "method"})


def is_familiar(site: Site, incoming: Incoming) -> bool:
    """Is it a transaction like one that was read? It need not be right R4 for that."""
    return incoming.shape == TRANSACTION and incoming.expected is None and hash(likeness(incoming.document)) in site.familiar


def take(bridge: Bridge, client: Client, incoming: Incoming) -> Answer | None:
    """The answer to a new referral that is familiar, which is stored unread; None for what must be read first. Raises `Refused`."""
    site = bridge.sites[client.tenant]
    if (placer := refer_read.placer_in(site, incoming.document)) is None:
        return None
    id = refer_read.number_of(client.id, placer)
    if (places := _places(site, id)) is None:
        return None

    def written(tx: Transaction) -> Answer | None:
        now = tx.now
        answer = answers.transaction_response(incoming.document, _held(places, now), incoming.base, created=True)
        kept = taking.message(bridge, client, incoming, now=now, referral=id, answer=answer)
        if not rows.put(tx, Unread(client.tenant, id, client.id, kept.id, incoming.base, now)):
            return None
        taking.keep(tx, incoming, kept)
        fault_point("I3")
        return answer

    answer = bridge.store.together(written)
    fault_point("I4")
    return answer


def learn(site: Site, incoming: Incoming, order: refer_read.Order) -> None:
    """A message like this one was read: the next one need not be before it is answered, unless it takes something back."""
    if incoming.shape == TRANSACTION and not order.taken_back:
        if len(site.familiar) >= MOST_FAMILIAR:
            site.familiar.clear()
        site.familiar.add(hash(likeness(incoming.document)))


def likeness(value: Any, name: str = "") -> Hashable:
    """What a document looks like: its elements as they stand, and the values of those that tell how it is read."""
    if isinstance(value, dict):
        return tuple(
            [(inner, likeness(one, inner) if isinstance(one, dict | list) or inner in _TELLING else 0) for inner, one in value.items()]
        )
    if isinstance(value, list):
        return tuple([likeness(one, name) for one in value])
    return value if name in _TELLING else 0


def catch_up(bridge: Bridge, tenant: str) -> bool:
    """Read what waits of the tenant, in the order in which it came; False when nothing did."""
    found = False
    while True:
        with bridge.store.reading() as tx:
            waiting = rows.waiting(tx, tenant, AT_ONCE)
        for one in waiting:
            _read(bridge, one)
        found = found or bool(waiting)
        if len(waiting) < AT_ONCE:
            return found


def read_due(bridge: Bridge) -> bool:
    """As `catch_up`, of every tenant."""
    with bridge.store.reading() as tx:
        waiting = rows.tenants(tx)
    return sum(catch_up(bridge, tenant) for tenant in waiting if tenant in bridge.sites) > 0


def refusal(bridge: Bridge, client: Client, kind: str, resource_id: str) -> Answer | None:
    """A 404 that says why, for an order or Task of this sender that was answered and could not be read."""
    site = bridge.sites[client.tenant]
    with bridge.store.reading() as tx:
        refused = [one for one in rows.refused(tx, client.tenant) if one.client == client.id]
    why = next((one.why for one in refused if (_places(site, one.referral) or {}).get(kind) == resource_id), None)
    told = f"came, and cannot be read here: {why}; send it again, mended"
    return Answer(HTTPStatus.NOT_FOUND, operation_outcome([Fault(kind, told)])) if why else None


def _read(bridge: Bridge, one: Unread) -> None:
    with bridge.store.reading() as tx:
        kept, client = referrals.message(tx, one.tenant, one.message), clients.of_id(tx, one.tenant, one.client)
    assert client is not None, "who sent it stays known when it may come no more"  # noqa: S101
    incoming = Incoming(
        kept.route, kept.body, documents.loads(kept.body), one.base, kept.request_id, kept.correlation_id, received_at=one.received_at
    )
    try:
        order = refer_read.read(bridge.sites[one.tenant], incoming.document)
        try:
            taking.store(bridge, client, incoming, order)
        except VersionTaken:  # somebody else reads it too: look again
            taking.store(bridge, client, incoming, order)
    except Refused as refused:
        _refuse(bridge, one, "; ".join(map(str, refused.faults)))
    except StoreError:
        raise
    except Exception as error:  # one message must not keep the others from being read
        log.exception("message %s could not be read", one.message)
        _refuse(bridge, one, f"the bridge itself failed: {type(error).__name__}")


def _refuse(bridge: Bridge, one: Unread, why: str) -> None:
    with bridge.store.transaction() as tx:
        if rows.refuse(tx, one, why):
            audit.write(
                tx, tenant=one.tenant, actor="worker", action="unreadable", subject=f"message/{one.message}", detail={},
                now=tx.now, key=bridge.audit_key,
            )  # fmt: skip


def _places(site: Site, id: str) -> dict[str, str] | None:
    """The ids of the referral's order and Task; None where the site's templates make them of more than its number."""
    named = {kind: site.mapping.id_of(kind, {"referral": {"id": id}}) for kind in (ORDER, TASK)}
    found = {kind: one for kind, one in named.items() if one}
    return found if len(found) == len(named) else None


def _held(places: dict[str, str], since: datetime) -> Held:
    meta = {"versionId": "1", "lastUpdated": since.isoformat()}
    return Held(1, {kind: {"id": id, "meta": meta} for kind, id in places.items()}, since)
