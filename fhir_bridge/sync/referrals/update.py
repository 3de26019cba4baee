"""A sender changes what it reads here, by R4's update: the resource is put in the place of ours, and the referral is read again.

The other resources of the referral are as we hold them. What reads as before stays as it is recorded: a sender that changes one
element of what it read changes that and nothing else. A status it repeats says nothing; what the clinic says is not the sender's.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import records
from fhir_bridge.store.clients import Client
from fhir_bridge.store.records import Stored
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.referrals import held as refer_held
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals.read import Order
from fhir_bridge.sync.referrals.shape import ORDER, TASK, Incoming

Resource = dict[str, Any]
#: the status that asks for nothing new
_ASKS = {ORDER: "active", TASK: "requested"}


class Unknown(Refused):
    """No resource of a referral of this sender's has this id."""


class NotYet(Refused):
    """There is no referral yet: its order is not there."""


def read(bridge: Bridge, client: Client, incoming: Incoming) -> Order:
    """What the sender says now, read onto the version that is stored. Raises `Unknown`, `NotYet` and `Refused`."""
    site, stored = bridge.sites[client.tenant], _stored(bridge, client, incoming)
    record = documents.loads(stored.document, max_bytes=len(stored.document))
    was, said = _reread(site, record, incoming.document, incoming.base)
    if refer_read.number_of(client.id, said.placer) != stored.id:
        raise Refused([Fault("ServiceRequest.identifier", "is another order's number; send another order as a new one")])
    told = {part: _onto(record[part], was.record[part], said.record[part]) for part in said.record}
    del told["patient"]["id"]  # whose number it is says the match
    return replace(said, record=told, onto=stored.version)


def left_out(site: Site, record: Resource, put: Resource) -> tuple[str, ...]:
    """By path, what of an update is not in the record; nothing where it cannot be read onto the record as it is now."""
    with suppress(Refused):
        return _reread(site, record, put)[1].left_out
    return ()


def _stored(bridge: Bridge, client: Client, incoming: Incoming) -> Stored:
    found = refer_held.referral_of(bridge, client, incoming.shape, incoming.update)
    if found is None:
        raise Unknown([Fault("", f"no {incoming.shape} of a referral of yours has this id")])
    with bridge.store.reading() as tx:
        stored = records.current(tx, client.tenant, "referral", found)
    if stored is None:
        raise NotYet([Fault("", "the order of this Task is not here yet; send the Task again, with what is new in it")])
    return stored


def _reread(site: Site, record: Resource, put: Resource, base: str = "") -> tuple[Order, Order]:
    """(the referral as our resources of it read, as they read with `put` in the place of ours)."""
    kind = put["resourceType"]
    ours = {one["resourceType"]: one for one in site.mapping.to_fhir(record).resources}
    repeated = put["status"] == ours[kind]["status"]
    put = put | {"id": ours[kind]["id"]} | ({"status": _ASKS[kind]} if repeated else {})
    asking = {kind: one | ({"status": _ASKS[kind]} if kind in _ASKS else {}) for kind, one in ours.items()}
    return refer_read.read(site, _together(asking, base)), refer_read.read(site, _together(asking | {kind: put}, base))


def _together(resources: dict[str, Resource], base: str) -> Resource:
    entries = [{"fullUrl": f"{base}/{kind}/{one['id']}", "resource": one} for kind, one in resources.items()]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _onto(recorded: Resource, was: Resource, said: Resource) -> Resource:
    """`recorded` with what is said otherwise than it was; what is the record's own stays."""
    names = [*recorded, *(name for name in said if name not in recorded)]
    changed = {name for name in names if was.get(name) != said.get(name)}
    values = {name: said.get(name) if name in changed else recorded.get(name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
