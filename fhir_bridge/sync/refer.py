"""A referral comes in: what was sent, the record it becomes, its deliveries and the answer are stored in one transaction.

A repetition gets the first answer again: told by `X-Request-ID`, then by the message's identifier, then by the sender and the order's
number. A changed order is the next version of its referral; a revoked one cancels it. A refused message is kept too, with its faults.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import check
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.store import matches, records, referral_search, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.records import Stored, VersionTaken
from fhir_bridge.store.referrals import Message
from fhir_bridge.sync.accept import accept, read
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import answers, focus, index
from fhir_bridge.sync.referrals import patient as refer_patient
from fhir_bridge.sync.referrals import query as refer_query
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals import search as refer_search
from fhir_bridge.sync.referrals.answers import Answer, Held
from fhir_bridge.sync.referrals.loop import OVER
from fhir_bridge.sync.referrals.shape import MESSAGE, TRANSACTION, Incoming, NotFhir

#: what the clinic says of a referral; the hospital says the rest
CLINICS_OWN = ("id", "version", "status", "status_reason", "received_at", "sessions", "summaries")
#: what is stored with a referral of this number, as it is held
Alongside = Callable[[Transaction, str, Held], None]


class Settled(Refused):
    """The hospital changed a referral that is over, or used a message's number for another message."""


class Repeated(Refused):
    """A sender by the rules of BaRS sent a message again that was taken."""


class Several(Refused):
    """A conditional create found more than one."""


def take(bridge: Bridge, client: Client, incoming: Incoming) -> Answer:
    """The answer to a referral that is stored, now or before. Raises `Settled`, `NotFhir`, `Refused`, and the store's `Unavailable`."""
    try:
        incoming.require_shape()
        if first := _answered(bridge, client, incoming) or _existing(bridge, client, incoming):
            return first
        if url := focus.address(incoming):
            return focus.begin(bridge, client, incoming, url)
        order = refer_read.read(bridge.sites[client.tenant], incoming.document)
        try:
            return _store(bridge, client, incoming, order)
        except VersionTaken:  # the same referral came twice at once, or the clinic decided just now: look again
            return _answered(bridge, client, incoming) or _store(bridge, client, incoming, order)
    except Refused as refused:
        _keep_refused(bridge, client, incoming, refused)
        raise


def judge(bridge: Bridge, client: Client, incoming: Incoming) -> None:
    """Raises what `take` would raise for a message that comes first; nothing is stored, and nothing is fetched."""
    incoming.require_shape()
    if focus.address(incoming):
        return
    site = bridge.sites[client.tenant]
    order = refer_read.read(site, incoming.document)
    id = refer_read.number_of(client.id, order.placer)
    patient = order.record["patient"] | {"id": refer_read.patient_number(order.record, id)}
    if not order.taken_back:
        read(site, "referral", _fresh(id, replace(order, record=order.record | {"patient": patient}), bridge.clock()))


def take_fetched(bridge: Bridge, client: Client, incoming: Incoming, also: Alongside) -> str:
    """The number of the referral in a Task with what was fetched for it, which is stored now, together with what `also` writes.

    Raises `Refused`.
    """
    if faults := check.faults(incoming.document):
        raise Refused(faults)
    order = refer_read.read(bridge.sites[client.tenant], incoming.document)
    try:
        _store(bridge, client, incoming, order, also)
    except VersionTaken:
        _store(bridge, client, incoming, order, also)
    return refer_read.number_of(client.id, order.placer)


def status_of(refused: Refused) -> HTTPStatus:
    """400 for what is no FHIR, 409 for a conflict, 412 for a condition that is not met, 422 for FHIR that is refused."""
    told = {
        NotFhir: HTTPStatus.BAD_REQUEST,
        Settled: HTTPStatus.CONFLICT,
        Repeated: HTTPStatus.CONFLICT,
        Several: HTTPStatus.PRECONDITION_FAILED,
    }
    return next((status for kind, status in told.items() if isinstance(refused, kind)), HTTPStatus.UNPROCESSABLE_ENTITY)


def code_of(refused: Refused) -> str | None:
    """R4's issue-type where the status does not tell it."""
    return "duplicate" if isinstance(refused, Repeated) else "multiple-matches" if isinstance(refused, Several) else None


def _answered(bridge: Bridge, client: Client, incoming: Incoming) -> Answer | None:
    """The first answer to the same message. By the rules of BaRS a message that was taken is refused when it comes again."""
    bars, pair = incoming.is_bars, (incoming.request_id, incoming.correlation_id)
    if bars and not all(pair):
        raise NotFhir([Fault("", "a BaRS message needs the headers X-Request-ID and X-Correlation-ID")])
    if not incoming.request_id and not incoming.message_id:
        return None
    with bridge.store.reading() as tx:
        for told in ({"request_id": incoming.request_id}, {"message_id": incoming.message_id}):
            first = referrals.answered(tx, client.tenant, client.id, **told)
            if first and bars and (first.request_id, first.correlation_id) == pair:
                raise Repeated([Fault("", "this message was taken already, under the same X-Request-ID and X-Correlation-ID")])
            if first and first.sha256 != incoming.sha256:
                name = "X-Request-ID" if "request_id" in told else "message identifier"
                raise Settled([Fault("", f"this {name} was used for another message; choose a new one")])
            if first:
                return Answer(**documents.loads(first.answer, max_bytes=len(first.answer)))
    return None


def _existing(bridge: Bridge, client: Client, incoming: Incoming) -> Answer | None:
    """A conditional create that need not create: the one that is there. Raises `Several`."""
    if (asked := incoming.unless) is None:
        return None
    kind, search = asked
    query = refer_query.condition(bridge.sites[client.tenant], kind, search)
    found = refer_search.run(bridge, client, replace(query, count=2)).found
    if len(found) > 1:
        raise Several([Fault("", "If-None-Exist finds more than one of your referrals; say it more exactly")])
    if not found:
        return None
    if incoming.shape == TRANSACTION:
        return answers.transaction_response(incoming.document, found[0], incoming.base, created=False)
    return answers.one_resource(kind, found[0], incoming.base, created=False)


def _store(bridge: Bridge, client: Client, incoming: Incoming, order: refer_read.Order, also: Alongside = lambda *_: None) -> Answer:
    id = refer_read.number_of(client.id, order.placer)
    with bridge.store.reading() as tx:
        now, stored = tx.now, records.current(tx, client.tenant, "referral", id)
    before = _document(stored)["patient"] if stored else None
    patient, match = refer_patient.arrived(bridge, client, id, order.record["patient"], before=before, now=now)
    order = replace(order, record=order.record | {"patient": patient})
    record = _changed(stored, order) if stored else _fresh(id, order, now)
    site = bridge.sites[client.tenant]
    arrival = read(site, "referral", record)
    record = arrival.record
    found = answers.held(site, record, now)
    answer = _answer(bridge, incoming, order, found, created=stored is None)
    message = _message(bridge, client, incoming, now=now, referral=id, answer=answer)

    def alongside(tx: Transaction) -> None:
        _stand(tx, client, record, found)
        if not order.taken_back:
            matches.put(tx, match)
        also(tx, id, found)
        referrals.keep(tx, message)

    if stored and stored.document == arrival.document:
        return _again(bridge, client, incoming, id) or answer
    accept(
        bridge, client=client, kind="referral", document=arrival, body_sha256=incoming.sha256,
        action="receive", detail={"patient": match.verdict}, alongside=alongside,
    )  # fmt: skip
    return answer


def _again(bridge: Bridge, client: Client, incoming: Incoming, id: str) -> Answer | None:
    """The answer to the very same message."""
    with bridge.store.reading() as tx:
        same = [one for one in referrals.messages_of(tx, client.tenant, id) if (one.route, one.sha256) == (incoming.shape, incoming.sha256)]
    return Answer(**documents.loads(same[0].answer, max_bytes=len(same[0].answer))) if same else None


def _fresh(id: str, order: refer_read.Order, now: datetime) -> dict[str, Any]:
    if order.taken_back:
        raise Refused([Fault("ServiceRequest.status", "takes back an order that we never received from you")])
    received = {"id": id, "status": "received", "received_at": now.astimezone(UTC).isoformat(timespec="milliseconds")}
    return {"patient": order.record["patient"], "referral": _in_order({**order.record["referral"], **received})}


def _changed(stored: Stored, order: refer_read.Order) -> dict[str, Any]:
    """The stored record with what the hospital says now, as the next version; unchanged when it says nothing new."""
    before = _document(stored)
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


def _stand(tx: Transaction, client: Client, record: dict[str, Any], found: Held) -> None:
    fresh = index.standing(client.tenant, client.id, record, found, found.since)
    if referrals.stand(tx, fresh):
        referral_search.name(tx, client.tenant, client.id, fresh.id, index.names(found))


def _keep_refused(bridge: Bridge, client: Client, incoming: Incoming, refused: Refused) -> None:
    status = status_of(refused)
    with bridge.store.transaction() as tx:
        answer = Answer(status, operation_outcome(refused.faults))
        referrals.keep(tx, _message(bridge, client, incoming, now=tx.now, referral=None, answer=answer))


def _message(bridge: Bridge, client: Client, incoming: Incoming, *, now: datetime, referral: str | None, answer: Answer) -> Message:
    return Message(
        client.tenant, bridge.new_id(), client.id, incoming.shape, now, incoming.body, incoming.sha256, incoming.request_id,
        incoming.message_id, referral, int(answer.status), documents.dumps(asdict(answer) | {"status": int(answer.status)}),
        incoming.correlation_id,
    )  # fmt: skip


def _document(stored: Stored) -> dict[str, Any]:
    found: dict[str, Any] = documents.loads(stored.document, max_bytes=len(stored.document))
    return found
