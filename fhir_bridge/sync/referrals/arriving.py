"""What comes is stored before it is read: a process that dies reading loses no referral, whether or not its sender asks again."""

from dataclasses import replace

from fhir_bridge.faults import fault_point
from fhir_bridge.store import arrivals
from fhir_bridge.store.arrivals import UNANSWERED, Arrival
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import focus, taking
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import Incoming


def stored(bridge: Bridge, client: Client, incoming: Incoming) -> Incoming:
    """`incoming` with the number of its bytes. A Task whose order must be fetched is not stored here: `focus` stores all of it at once."""
    if incoming.arrival or focus.address(incoming):
        return incoming
    with bridge.store.transaction() as tx:
        message = taking.message(bridge, client, incoming, now=tx.now, referral=None, answer=Answer(UNANSWERED, None))
        asked = (incoming.base, incoming.update, incoming.if_none_exist, incoming.if_match)
        arrivals.put(tx, Arrival(client.tenant, message.id, client.id, *asked, message.received_at), message)
    fault_point("I6")
    return replace(incoming, arrival=message.id)
