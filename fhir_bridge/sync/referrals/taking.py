"""A referral that was read is stored: the record it becomes, its deliveries, whose patient it is, what came and the answer, all or nothing.

An order that is there becomes the next version of its referral; a revoked one cancels it.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import arrivals, matches, records, referral_search, referrals, unread
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.records import Stored, VersionTaken
from fhir_bridge.store.referrals import Message
from fhir_bridge.sync.admission import admit, read
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import answers, index
from fhir_bridge.sync.referrals import patient as refer_patient
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals.answers import Answer, Held
from fhir_bridge.sync.referrals.loop import OVER
from fhir_bridge.sync.referrals.shape import MESSAGE, TRANSACTION, Incoming

#: what the clinic says of a referral; the hospital says the rest
CLINICS_OWN = ("id", "version", "status", "status_reason", "received_at", "sessions", "summaries")
_TAG = re.compile(r'"([^"]*)"')
#: what is stored with a referral of this number, as it is held
Alongside = Callable[[Transaction, str, Held], None]


class Settled(Refused):
    """The hospital changed a referral that is over, or used a message's number for another message."""


class Stale(Refused):
    """`If-Match` names another version than there is."""


def store(bridge: Bridge, client: Client, incoming: Incoming, order: refer_read.Order, also: Alongside | None = None) -> Answer:
    """The answer to `order`, which is stored. `also` writes with it, before the message. Raises `Settled`, `Refused`, `VersionTaken`."""
    id = refer_read.number_of(client.id, order.placer)
    with bridge.store.reading() as tx:
        now, stored = tx.now, records.current(tx, client.tenant, "referral", id)
    _require_current(incoming, stored)
    if stored and order.onto not in (None, stored.version):
        raise VersionTaken("the referral was changed at the same moment; read it, and change that")
    before = document_of(stored)["patient"] if stored else None
    patient, match = refer_patient.arrived(bridge, client, id, order.record["patient"], before=before, now=now)
    order = replace(order, record=order.record | {"patient": patient})
    site = bridge.sites[client.tenant]
    arrival = read(site, "referral", _changed(stored, order) if stored else fresh(id, order, incoming.received_at or now))
    unchanged = stored is not None and stored.document == arrival.document
    found = answers.held(site, arrival.record, stored.stored_at if stored and unchanged else now)
    answer = _answer(bridge, incoming, order, found, created=stored is None)

    def alongside(tx: Transaction) -> None:
        stand = index.standing(client.tenant, client.id, arrival.record, found, found.since)
        if referrals.stand(tx, stand):
            referral_search.name(tx, client.tenant, client.id, id, index.names(found))
        if not order.taken_back:
            matches.put(tx, match)
        unread.forget(tx, client.tenant, id)
        if also:
            also(tx, id, found)
        if incoming.arrival or not incoming.received_at:  # else it was answered when it came
            keep(tx, incoming, message(bridge, client, incoming, now=now, referral=id, answer=answer))

    if unchanged:
        with bridge.store.transaction() as tx:
            unread.forget(tx, client.tenant, id)
            says_nothing_new(tx, client, incoming)
        return answer if incoming.update else _again(bridge, client, incoming, id) or answer
    admit(bridge, client=client, arrival=arrival, action="receive", detail={"patient": match.verdict}, alongside=alongside)
    return answer


def fresh(id: str, order: refer_read.Order, now: datetime) -> dict[str, Any]:
    """The first version's record. Raises `Refused` for an order that takes back what never came."""
    if order.taken_back:
        raise Refused([Fault("ServiceRequest.status", "takes back an order that we never received from you")])
    received = {"id": id, "status": "received", "received_at": now.astimezone(UTC).isoformat(timespec="milliseconds")}
    return {"patient": order.record["patient"], "referral": _in_order({**order.record["referral"], **received})}


def message(bridge: Bridge, client: Client, incoming: Incoming, *, now: datetime, referral: str | None, answer: Answer) -> Message:
    """What came in, as it is kept, with its answer."""
    return Message(
        client.tenant, incoming.arrival or bridge.new_id(), client.id, incoming.route, now, incoming.body, incoming.sha256,
        incoming.request_id, incoming.message_id, referral, int(answer.status),
        documents.dumps({"status": int(answer.status), "body": answer.body, "headers": answer.headers}),
        incoming.correlation_id,
    )  # fmt: skip


def keep(tx: Transaction, incoming: Incoming, kept: Message) -> None:
    """Keeps what came, with its answer; where its bytes are stored already, that is their answer."""
    (arrivals.settle if incoming.arrival else referrals.keep)(tx, kept)


def says_nothing_new(tx: Transaction, client: Client, incoming: Incoming) -> None:
    """What is known already is not kept again."""
    if incoming.arrival:
        arrivals.drop(tx, client.tenant, incoming.arrival)


def document_of(stored: Stored) -> dict[str, Any]:
    """The record."""
    found: dict[str, Any] = documents.loads(stored.document, max_bytes=len(stored.document))
    return found


def _require_current(incoming: Incoming, stored: Stored | None) -> None:
    """Raises `Stale` unless the version that is stored is one that `If-Match` (of an entry: `ifMatch`) names."""
    asked = incoming.expected
    if asked is None or (stored and (asked.strip() == "*" or str(stored.version) in _TAG.findall(asked))):
        return
    there = f"version {stored.version} is" if stored else "nothing is"
    raise Stale([Fault("", f"If-Match names another version; {there} stored: read it, and change that")])


def _again(bridge: Bridge, client: Client, incoming: Incoming, id: str) -> Answer | None:
    """The answer to the very same message."""
    with bridge.store.reading() as tx:
        same = [one for one in referrals.messages_of(tx, client.tenant, id) if (one.route, one.sha256) == (incoming.route, incoming.sha256)]
    return Answer(**documents.loads(same[0].answer, max_bytes=len(same[0].answer))) if same else None


def _changed(stored: Stored, order: refer_read.Order) -> dict[str, Any]:
    """The stored record with what the hospital says now, as the next version; unchanged when it says nothing new."""
    before = document_of(stored)
    kept = {name: before["referral"][name] for name in CLINICS_OWN if name in before["referral"]}
    after = {
        "patient": order.record["patient"],
        "referral": _in_order({**order.record["referral"], **kept}),
    }
    if order.taken_back:
        reason = {"status_reason": order.why} if order.why else {}
        after = before | {"referral": {**before["referral"], "status": order.taken_back, **reason}}
    if documents.canonical(after) == documents.canonical(before):
        return before
    if kept["status"] in OVER:
        raise Settled([Fault("", f"the referral is {kept['status']}; make a new order instead of changing this one")])
    return after | {"referral": {**after["referral"], "version": stored.version + 1}}


def _in_order(referral: dict[str, Any]) -> dict[str, Any]:
    """Without the time of the order when it lies after its receipt: the sender's clock is ahead, or the order was written anew."""
    requested, received = (referral.get(name) for name in ("requested_at", "received_at"))
    if requested and datetime.fromisoformat(requested) > datetime.fromisoformat(str(received)):
        return {name: value for name, value in referral.items() if name != "requested_at"}
    return referral


def _answer(bridge: Bridge, incoming: Incoming, order: refer_read.Order, found: Held, *, created: bool) -> Answer:
    if incoming.shape == TRANSACTION:
        return answers.transaction_response(incoming.document, found, incoming.base, created=created)
    if incoming.shape == MESSAGE:
        return answers.response_message(order.header, found, incoming.base, new_id=bridge.new_id)
    return answers.one_resource(incoming.shape, found, incoming.base, created=created)
