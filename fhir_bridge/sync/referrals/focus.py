"""A Task comes whose order is at its sender: it is stored and answered at once; the order is fetched afterwards (`fetch`).

Only at the origin the sender's client may name, or at the hospital it is. Until the order is there, and when it cannot be had, the
sender reads so at the Task.
"""

import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import fetches, senders
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.fetches import Fetch
from fhir_bridge.sync.bridge import Bridge, Hospital
from fhir_bridge.sync.referrals import answers
from fhir_bridge.sync.referrals.answers import Answer, Held
from fhir_bridge.sync.referrals.shape import TASK, Incoming

#: what the sender reads at its Task while there is no referral yet: Task.status, and why in words
TOLD = {"waiting": ("received", "the order is being fetched"), "failed": ("failed", "the order could not be fetched")}

_ORDER = re.compile(r"https?://[^/?#@\s]+(/[A-Za-z0-9._~-]+)*/ServiceRequest/[A-Za-z0-9.-]{1,64}", re.ASCII)


def address(incoming: Incoming) -> str | None:
    """Where the Task's order is, when it is not in the Task."""
    focus = incoming.document.get("focus")
    url = focus.get("reference") if isinstance(focus, dict) else None
    asked = incoming.shape == TASK and not incoming.update and isinstance(url, str) and url.startswith(("https://", "http://"))
    return str(url).partition("/_history/")[0] if asked else None


def begin(bridge: Bridge, client: Client, incoming: Incoming, url: str) -> Answer:
    """Store the Task and answer; the same Task again gets the same answer. Raises `Refused` for an address it may not name."""
    if not _ORDER.fullmatch(url) or "/." in url:
        raise Refused(
            [Fault("Task.focus", "must be the address of a ServiceRequest, like https://fhir.hospital.example/r4/ServiceRequest/1")]
        )
    with bridge.store.transaction() as tx:
        if not allowed(bridge, tx, client, url):
            why = "is at an address that this client may not name; ask the clinic to allow its origin, or send the order with the Task"
            raise Refused([Fault("Task.focus", why)])
        id = str(uuid5(NAMESPACE_URL, f"{client.tenant}/{client.id}/fetch/{incoming.sha256}"))
        now = tx.now
        stored = fetches.put(
            tx,
            Fetch(client.tenant, id, client.id, url, incoming.base, incoming.sha256, incoming.body, now, "waiting", 0, now),
        )
    found = _task(stored)
    return answers.one_resource(TASK, found, incoming.base, created=True)


def allowed(bridge: Bridge, tx: Transaction, client: Client, url: str) -> bool:
    """Whether this client may have `url` fetched: it is at its origin, or at the hospital it is."""
    sender = senders.of(tx, client.tenant, client.id)
    there = hospital_of(bridge, sender.hospital, url)
    return there is not None or bool(sender.origin and url.startswith(f"{sender.origin}/"))


def hospital_of(bridge: Bridge, name: str | None, url: str) -> Hospital | None:
    """The configured hospital of that name, if `url` is at its server: then it is read with our sign-in."""
    hospital = bridge.hospitals.get(name or "")
    return hospital if hospital and hospital.client.path_of(url) else None


def read(bridge: Bridge, client: Client, id: str) -> Held | Fetch | None:
    """A Task of this sender by the id it was answered with, while there is no referral; then that."""
    with bridge.store.reading() as tx:
        stored = fetches.of(tx, client.tenant, id)
    if stored is None or stored.client != client.id:
        return None
    return stored if stored.referral else _task(stored)


def _task(stored: Fetch) -> Held:
    """The Task as it was sent, with how far its order is."""
    status, why = TOLD.get(stored.state, TOLD["waiting"])
    sent: dict[str, Any] = documents.loads(stored.body, max_bytes=len(stored.body))
    version = 2 if stored.state == "failed" else 1
    told = {"statusReason": {"text": stored.why}} if stored.why and stored.state == "failed" else {}
    meta = {"versionId": str(version), "lastUpdated": stored.received_at.isoformat()}
    task = {**sent, "id": stored.id, "meta": meta, "status": status, "businessStatus": {"text": why}, **told}
    return Held(version, {TASK: task}, stored.received_at)


def as_asked(answer: Answer, id: str) -> Answer:
    """The referral's Task under the id the sender was given."""
    return replace(answer, status=HTTPStatus.OK, body=(answer.body or {}) | {"id": id})
