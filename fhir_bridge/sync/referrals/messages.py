"""A referral's news as messages, where its sender speaks messages: each version in the outbox's order, each sent until it is taken.

A lost answer needs no look: the same version is the same message, which its receiver knows again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records as clinic
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital import messages
from fhir_bridge.hospital.exchange import FHIR_JSON, Call, NoReply, Reply
from fhir_bridge.store import outbox, records, referrals, senders
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Delivery, Lease
from fhir_bridge.store.records import Stored
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.convert import summed_up
from fhir_bridge.sync.delivery.call import result_of
from fhir_bridge.sync.delivery.job import Done, End, Overtaken
from fhir_bridge.sync.delivery.settle import settle
from fhir_bridge.sync.referrals.shape import MESSAGE
from fhir_bridge.sync.routes import MESSAGES

Resource = dict[str, Any]
Post = Callable[[Resource, Mapping[str, str]], Reply | NoReply]
_SENT = ("Task", "ServiceRequest", "Condition", "Patient")


@dataclass(frozen=True, slots=True)
class Errand:
    """A leased delivery of a referral that goes as a message, to the address `to`, by `post`."""

    bridge: Bridge
    lease: Lease
    delivery: Delivery
    site: Site
    to: str
    post: Post


def errand(bridge: Bridge, lease: Lease, delivery: Delivery) -> Errand | None:
    """The delivery as an errand, if it is one of a referral to somebody who wants messages."""
    site, hospital = bridge.sites.get(delivery.tenant), bridge.hospitals.get(delivery.hospital)
    if delivery.kind != "referral" or site is None:
        return None
    if hospital and hospital.site_file.channel == "message":
        client = hospital.client

        def to_hospital(message: Resource, headers: Mapping[str, str]) -> Reply | NoReply:
            return client.send(Call("POST", "$process-message", message, headers))

        return Errand(bridge, lease, delivery, site, f"{client.base}/$process-message", to_hospital)
    if (url := _address(bridge, delivery)) is None:
        return None

    def to_sender(message: Resource, headers: Mapping[str, str]) -> Reply | NoReply:
        told = {**headers, "Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
        return bridge.outside.post(url, documents.dumps(message), headers=told)

    return Errand(bridge, lease, delivery, site, url, to_sender)


def run(job: Errand) -> End:
    """Send the message and see what becomes of it; `Done` is written down here, every other end by the caller. Raises `LeaseLost`."""
    store, delivery = job.bridge.store, job.delivery
    message, headers = _message(job)
    with store.transaction() as tx:
        if unknown := outbox.open_attempt(tx, delivery):  # sent again as it was: it is known there, or comes for the first time
            outbox.finish_attempt(tx, job.lease, unknown, "repeated")
            outbox.settle(tx, job.lease, delivery, state="pending")
        digest = sha256(documents.dumps(message)).hexdigest()
        attempt = outbox.begin_attempt(tx, job.lease, delivery, step="message", request_id=message["id"], body_sha256=digest)
    if attempt is None:
        return Overtaken()
    fault_point("O4")
    reply = job.post(message, headers)
    fault_point("O8")
    result = result_of(messages.understood(message, reply, now=job.bridge.clock()), messages.step(message))
    end = result.end or Done({})
    with store.transaction() as tx:
        if result.word is not None:
            outbox.finish_attempt(tx, job.lease, attempt, result.word)
        if isinstance(end, Done):
            settle(tx, job.bridge, lease=job.lease, delivery=delivery, end=end)
    return end


def _address(bridge: Bridge, delivery: Delivery) -> str | None:
    if not delivery.hospital.startswith(MESSAGES):
        return None
    with bridge.store.reading() as tx:
        return senders.of(tx, delivery.tenant, delivery.hospital.removeprefix(MESSAGES)).messages_to


def _message(job: Errand) -> tuple[Resource, Mapping[str, str]]:
    delivery, site = job.delivery, job.site
    with job.bridge.store.reading() as tx:
        stored = records.version(tx, delivery.tenant, delivery.kind, delivery.record_id, delivery.version)
        assert stored is not None, "a delivery's record is there by foreign key"  # noqa: S101
        asked, correlation = _asked(tx, delivery)
        record = _document(stored)
        resources = [one for one in site.mapping.to_fhir(record).resources if one["resourceType"] in _SENT]
        resources += [one for id in _done(record) for one in _summary(tx, site, delivery.tenant, id)]
    source = f"{job.bridge.public_url or site.mapping.tables.site['system']}/fhir/$process-message"
    name = f"{site.mapping.tables.site['system']}/referral/{clinic.identity('referral', record)}/{stored.version}"
    made = messages.bundle(name, resources, asked=asked, source=source, to=job.to, at=stored.stored_at)
    return made, messages.headers(made, correlation)


def _asked(tx: Transaction, delivery: Delivery) -> tuple[Resource, str | None]:
    """The MessageHeader of the sender's newest message, empty for one that was none, and its X-Correlation-ID."""
    for message in reversed(referrals.messages_of(tx, delivery.tenant, delivery.record_id)):
        if message.route == MESSAGE:
            document = documents.loads(message.body, max_bytes=len(message.body))
            return document["entry"][0]["resource"], message.correlation_id
    return {}, None


def _done(record: dict[str, Any]) -> list[str]:
    return [one["id"] for one in record["referral"].get("summaries", [])]


def _summary(tx: Transaction, site: Site, tenant: str, session: str) -> list[Resource]:
    """The document of a session, which the message brings along: the sender of a message may have no way to fetch it."""
    stored = records.current(tx, tenant, "session", session)
    if stored is None:
        return []
    written = site.mapping.to_fhir(summed_up(site.mapping, _document(stored))).resources
    made = [one for one in written if one["resourceType"] == "DocumentReference"]
    return [one | {"context": {name: said for name, said in one.get("context", {}).items() if name != "encounter"}} for one in made]


def _document(stored: Stored) -> dict[str, Any]:
    found: dict[str, Any] = documents.loads(stored.document, max_bytes=len(stored.document))
    return found
