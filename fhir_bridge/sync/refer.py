"""A referral comes in: what was sent is stored before it is read, and then the record it becomes with the answer, all or nothing.

A repetition gets the first answer again: told by `X-Request-ID`, then by the message's identifier, then by the sender and the order's
number. A changed order is the next version of its referral; a revoked one cancels it. A refused message is kept too, with its faults.
"""

from dataclasses import replace
from http import HTTPStatus

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import check
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.store import referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.records import VersionTaken
from fhir_bridge.sync.admission import read
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import answers, arriving, focus, taking, unread
from fhir_bridge.sync.referrals import query as refer_query
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals import search as refer_search
from fhir_bridge.sync.referrals import update as refer_update
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import PATIENT, TRANSACTION, Incoming, NotFhir
from fhir_bridge.sync.referrals.taking import Alongside, Settled


class Repeated(Refused):
    """A sender by the rules of BaRS sent a message again that was taken."""


class Several(Refused):
    """A conditional create found more than one."""


def take(bridge: Bridge, client: Client, incoming: Incoming) -> Answer:
    """The answer to a referral that is stored, now or before. Raises `Settled`, `NotFhir`, `Refused`, and the store's `Unavailable`."""
    try:
        if first := _answered(bridge, client, incoming):
            return _nothing_new(bridge, client, incoming, first)
        familiar = unread.is_familiar(bridge.sites[client.tenant], incoming)
        if not familiar:
            incoming = arriving.stored(bridge, client, incoming)
        incoming.require_shape()
        if there := _existing(bridge, client, incoming):
            return _nothing_new(bridge, client, incoming, there)
        if url := focus.address(incoming):
            return focus.begin(bridge, client, incoming, url)
        return (familiar and unread.take(bridge, client, incoming)) or _read(bridge, client, incoming)
    except Refused as refused:
        _keep_refused(bridge, client, incoming, refused)
        raise


def judge(bridge: Bridge, client: Client, incoming: Incoming) -> None:
    """Raises what `take` would raise for a message that comes first; nothing is stored, and nothing is fetched."""
    incoming.require_shape()
    site = bridge.sites[client.tenant]
    if focus.address(incoming):
        return
    if incoming.shape == PATIENT:
        refer_read.patient(site, incoming.document)
        return
    order = refer_read.read(site, incoming.document)
    id = refer_read.number_of(client.id, order.placer)
    patient = order.record["patient"] | {"id": refer_read.patient_number(order.record, id)}
    if not order.taken_back:
        read(site, "referral", taking.fresh(id, replace(order, record=order.record | {"patient": patient}), bridge.clock()))


def take_fetched(bridge: Bridge, client: Client, incoming: Incoming, also: Alongside) -> str:
    """The number of the referral in a Task with what was fetched for it, which is stored now, together with what `also` writes.

    Raises `Refused`.
    """
    if faults := check.faults(incoming.document):
        raise Refused(faults)
    order = refer_read.read(bridge.sites[client.tenant], incoming.document)
    try:
        taking.store(bridge, client, incoming, order, also)
    except VersionTaken:
        taking.store(bridge, client, incoming, order, also)
    return refer_read.number_of(client.id, order.placer)


def status_of(refused: Refused) -> HTTPStatus:
    """400 for no FHIR, 404 for an id that is not the sender's, 409 for a conflict, 412 for a condition that is not met, else 422."""
    told = {
        NotFhir: HTTPStatus.BAD_REQUEST,
        Settled: HTTPStatus.CONFLICT,
        Repeated: HTTPStatus.CONFLICT,
        Several: HTTPStatus.PRECONDITION_FAILED,
        taking.Stale: HTTPStatus.PRECONDITION_FAILED,
        refer_update.NotYet: HTTPStatus.CONFLICT,
        refer_update.Unknown: HTTPStatus.NOT_FOUND,
    }
    return next((status for kind, status in told.items() if isinstance(refused, kind)), HTTPStatus.UNPROCESSABLE_ENTITY)


def code_of(refused: Refused) -> str | None:
    """R4's issue-type where the status does not tell it."""
    return "duplicate" if isinstance(refused, Repeated) else "multiple-matches" if isinstance(refused, Several) else None


def _read(bridge: Bridge, client: Client, incoming: Incoming) -> Answer:
    """The answer to a message that is read first."""
    unread.catch_up(bridge, client.tenant)
    order = _order(bridge, client, incoming)
    try:
        answer = taking.store(bridge, client, incoming, order)
    except VersionTaken:  # the same referral came twice at once, or the clinic decided just now: look again
        answer = _answered(bridge, client, incoming) or taking.store(bridge, client, incoming, _order(bridge, client, incoming))
    unread.learn(bridge.sites[client.tenant], incoming, order)
    return answer


def _order(bridge: Bridge, client: Client, incoming: Incoming) -> refer_read.Order:
    if incoming.update:
        return refer_update.read(bridge, client, incoming)
    return refer_read.read(bridge.sites[client.tenant], incoming.document)


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


def _nothing_new(bridge: Bridge, client: Client, incoming: Incoming, answer: Answer) -> Answer:
    """`answer`, known before: what came is not kept."""
    if incoming.arrival:
        with bridge.store.transaction() as tx:
            taking.says_nothing_new(tx, client, incoming)
    return answer


def _keep_refused(bridge: Bridge, client: Client, incoming: Incoming, refused: Refused) -> None:
    status = status_of(refused)
    with bridge.store.transaction() as tx:
        answer = Answer(status, operation_outcome(refused.faults))
        taking.keep(tx, incoming, taking.message(bridge, client, incoming, now=tx.now, referral=None, answer=answer))
