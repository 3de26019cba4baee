"""Messages whose process died between storing and answering them are read by another one; nobody waits for the answer any more.

A sender that heard nothing may have asked again: what it said later about the same referral stands, and the older message is kept only.
"""

import logging
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.store import arrivals, audit, clients, referrals, unread
from fhir_bridge.store.arrivals import Arrival
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import StoreError
from fhir_bridge.store.unread import Unread
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import held, taking
from fhir_bridge.sync.referrals import read as refer_read
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import UPDATE, Incoming

log = logging.getLogger(__name__)
#: longer than a request may last at the door (`web/gunicorn.py`)
PATIENCE = timedelta(seconds=120)
AT_ONCE = 50


def resume_due(bridge: Bridge) -> bool:
    """Read what was left over; False when nothing was."""
    with bridge.store.reading() as tx:
        found = [one for one in arrivals.left_over(tx, tx.now - PATIENCE, AT_ONCE) if one.tenant in bridge.sites]
    for one in found:
        _resume(bridge, one)
    return bool(found)


def _resume(bridge: Bridge, one: Arrival) -> None:
    with bridge.store.reading() as tx:
        kept, client = referrals.message(tx, one.tenant, one.message), clients.of_id(tx, one.tenant, one.client)
    assert client is not None, "who sent it stays known when it may come no more"  # noqa: S101
    incoming = Incoming(
        kept.route.removeprefix(UPDATE), kept.body, documents.loads(kept.body), one.base, kept.request_id, kept.correlation_id,
        one.if_none_exist, one.update, one.if_match, received_at=one.received_at, arrival=one.message,
    )  # fmt: skip
    about = None
    try:
        if (about := _about(bridge, client, incoming)) and _is_overtaken(bridge, one, about):
            _settle(bridge, client, incoming, HTTPStatus.CONFLICT, "what its sender said later about the same referral was taken")
        else:
            refer.take(bridge, client, incoming)
    except Refused as refused:  # its sender does not hear of it
        _tell(bridge, one, about, "; ".join(map(str, refused.faults)))
    except StoreError:
        raise
    except Exception as error:  # one message must not keep the others from being read
        log.exception("message %s could not be read", one.message)
        failed = f"the bridge itself failed: {type(error).__name__}"
        _settle(bridge, client, incoming, HTTPStatus.INTERNAL_SERVER_ERROR, failed)
        _tell(bridge, one, about, failed)


def _about(bridge: Bridge, client: Client, incoming: Incoming) -> str | None:
    """The number of the referral that the message is about, as far as it can be told."""
    with suppress(Refused):
        incoming.require_shape()
        if incoming.update:
            return held.referral_of(bridge, client, incoming.shape, incoming.update)
        return refer_read.number_of(client.id, refer_read.identified(bridge.sites[client.tenant], incoming.document).placer)
    return None


def _is_overtaken(bridge: Bridge, one: Arrival, referral: str) -> bool:
    """Was a later message about the same referral taken?"""
    with bridge.store.reading() as tx:
        return any(each.received_at > one.received_at for each in referrals.messages_of(tx, one.tenant, referral))


def _settle(bridge: Bridge, client: Client, incoming: Incoming, status: HTTPStatus, why: str) -> None:
    answer = Answer(status, operation_outcome([Fault("", why)]))
    with bridge.store.transaction() as tx:
        taking.keep(tx, incoming, taking.message(bridge, client, incoming, now=tx.now, referral=None, answer=answer))


def _tell(bridge: Bridge, one: Arrival, referral: str | None, why: str) -> None:
    """The clinic learns that something came that cannot be read, and which referral it would have been."""
    with bridge.store.transaction() as tx:
        if referral:
            unread.put(tx, Unread(one.tenant, referral, one.client, one.message, one.base, one.received_at, why))
        audit.write(
            tx, tenant=one.tenant, actor="worker", action="unreadable", subject=f"message/{one.message}", detail={},
            now=tx.now, key=bridge.audit_key,
        )  # fmt: skip
