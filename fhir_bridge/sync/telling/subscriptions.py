"""Hospitals that offer it are asked to say when something changed (R4 Subscription, rest-hook). It only shortens the wait.

A notification marks its type to be pulled soon, and nothing of it is believed: not its body, which is never read, nor that there is a
change. It is known by its address, 256 bits that nobody can guess and that are made of the audit key, so that asking again after a lost
answer names the same address. What is missed is found by the ordinary pull.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.client import Call, NoReply, Reply
from fhir_bridge.store import subscriptions as rows
from fhir_bridge.store.subscriptions import Subscription
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery.job import Outage
from fhir_bridge.sync.delivery.statement import capabilities
from fhir_bridge.sync.pulling.mode import TYPES, modes_of
from fhir_bridge.sync.schedule import pull_soon

PATH = "/notifications"
LOOK_AGAIN = timedelta(days=1)
ASKED, REQUESTED, ACTIVE, ERROR, OFF = "asked", "requested", "active", "error", "off"  # ours, and the standard's
_ID = re.compile(r"[A-Za-z0-9-][A-Za-z0-9.-]{0,63}")


def keep(bridge: Bridge, *, tenant: str, hospital: str) -> list[str]:
    """Ask `hospital` to notify us of each type that is pulled, where it offers that; returns what a person should know.

    Looks at what was asked before: at once while it is not active, else once a day. One that failed is asked for again; one that the
    hospital turned off stays off. `deny = ["Subscription.create"]` in the site file leaves a hospital out.
    """
    found = capabilities(bridge, tenant=tenant, hospital=bridge.hospitals[hospital])
    wanted = [] if isinstance(found, Outage) else _wanted(bridge, found)
    return [words for type in wanted for words in _keep_one(bridge, tenant, hospital, type)]


def unheard(bridge: Bridge, *, tenant: str, hospital: str, capabilities: Capabilities) -> list[str]:
    """The types of whose changes `hospital` would be asked to tell, because nothing says that it does."""
    with bridge.store.reading() as tx:
        active = {one.type for one in rows.listing(tx, tenant, hospital) if one.status == ACTIVE}
    return [type for type in _wanted(bridge, capabilities) if type not in active]


def _wanted(bridge: Bridge, capabilities: Capabilities) -> list[str]:
    """The types that are pulled, of a hospital that offers to tell of them; none where it could not reach us."""
    offered = bool(bridge.public_url) and capabilities.of("Subscription").can("create")
    return [type for type in TYPES if offered and modes_of(capabilities, type)[0].name != "none"]


def notified(bridge: Bridge, token: str) -> bool:
    """A notification came to the address with `token`: its type is pulled soon. False when this is nobody's address."""
    with bridge.store.reading() as tx:
        found = rows.of_address(tx, _digest(token))
    if found is None:
        return False
    with bridge.store.transaction() as tx:
        rows.notified(tx, found, tx.now)
        pull_soon(tx, found.tenant, found.hospital, found.type)
    return True


def _keep_one(bridge: Bridge, tenant: str, hospital: str, type: str) -> Iterator[str]:
    token = _token(bridge, tenant, hospital, type)
    fresh = Subscription(tenant, hospital, type, _digest(token), None, ASKED, bridge.clock())
    with bridge.store.reading() as tx:
        known = next((one for one in rows.listing(tx, tenant, hospital) if one.type == type), fresh)
    if known.address_sha256 != fresh.address_sha256:
        known = fresh  # made with another audit key
    elif known.status == ACTIVE and bridge.clock() - known.looked_at < LOOK_AGAIN:
        return
    if known.theirs is None:
        yield from _ask(bridge, fresh, token)
    else:
        yield from _look(bridge, known, token)


def _look(bridge: Bridge, known: Subscription, token: str) -> Iterator[str]:
    reply = bridge.hospitals[known.hospital].client.send(Call("GET", f"Subscription/{known.theirs}"))
    if isinstance(reply, Reply) and reply.status in (404, 410):
        yield from _ask(bridge, replace(known, theirs=None), token)
    elif isinstance(reply, Reply) and reply.status == 200:
        if (status := _status(reply, known.status)) == ERROR:  # it could not reach us for a while
            yield from _ask(bridge, known, token)
        else:
            yield from _kept(bridge, replace(known, status=status))


def _ask(bridge: Bridge, wanted: Subscription, token: str) -> Iterator[str]:
    """Makes it, or sets the one that failed going again. Our address is known here before the hospital may call it."""
    with bridge.store.transaction() as tx:
        rows.put(tx, wanted)
    body = _resource(wanted.type, f"{bridge.public_url}{PATH}/{token}")
    call = Call("POST", "Subscription", body)
    if wanted.theirs:
        call = Call("PUT", f"Subscription/{wanted.theirs}", body | {"id": wanted.theirs})
    reply = bridge.hospitals[wanted.hospital].client.send(call)
    if isinstance(reply, NoReply):
        yield f"{wanted.type}: nobody answered when a Subscription was asked for: {reply.cause}"
    elif reply.status not in (200, 201) or not (id := wanted.theirs or _id(reply)):
        yield f"{wanted.type}: the Subscription was answered with {reply.status}; changes are found by the pull alone"
    else:
        yield from _kept(bridge, replace(wanted, theirs=id, status=_status(reply, REQUESTED)))


def _kept(bridge: Bridge, found: Subscription) -> Iterator[str]:
    with bridge.store.transaction() as tx:
        rows.put(tx, replace(found, looked_at=bridge.clock()))
    if found.status != ACTIVE:
        yield f"{found.type}: the Subscription is {found.status}, not active; until it is, changes are found by the pull alone"


def _resource(type: str, address: str) -> dict[str, Any]:
    """Without `payload`: the hospital sends an empty body, which we would not believe anyway (FHIR R4, Subscription.channel.payload)."""
    return {
        "resourceType": "Subscription",
        "status": REQUESTED,
        "reason": "To read what changed soon after it changed",
        "criteria": f"{type}?",
        "channel": {"type": "rest-hook", "endpoint": address},
    }


def _id(reply: Reply) -> str:
    """The new resource's id: from Location (`[base]/Subscription/ID/_history/1`), else from the body."""
    _, found, rest = reply.header("Location").rpartition("/Subscription/")
    id = rest.partition("/")[0] if found else reply.body.get("id") if isinstance(reply.body, dict) else None
    return id if isinstance(id, str) and _ID.fullmatch(id) else ""


def _status(reply: Reply, default: str) -> str:
    """The hospital's word, if it is one of the standard's."""
    said = reply.body.get("status", default) if isinstance(reply.body, dict) else default
    return said if said in (REQUESTED, ACTIVE, ERROR, OFF) else default


def _token(bridge: Bridge, *of: str) -> str:
    spoken = "\n".join(("subscription", *of)).encode()
    return urlsafe_b64encode(hmac.new(bridge.audit_key, spoken, sha256).digest()).decode().rstrip("=")


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
