"""The loop closes: a referral comes in by the hospital's own message, and its Task at the hospital follows what the clinic decides."""

from typing import Any

from ward import CASES, Ward, work

from fhir_bridge import documents
from fhir_bridge.clock import utc_now
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import refer, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox
from fhir_bridge.sync.referrals.shape import MESSAGE, Incoming

BODY = (CASES / "referred-biologic" / "inbound" / "message.json").read_bytes()
SENDER = Client("default", "general", "Invented General Hospital", "hospital", utc_now())
CLINIC = Client("default", "desk", "Front desk", "clinic", utc_now())


def received(bridge: Bridge) -> str:
    refer.take(bridge, SENDER, Incoming(MESSAGE, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    [found] = inbox.listing(bridge, "default")
    number: str = found["id"]
    return number


def told(hospital: Ward, bridge: Bridge, number: str) -> dict[str, Any]:
    """The hospital's own Task and order, by type, after everything due was delivered."""
    work(bridge)
    [delivery] = (status.of_record(bridge, tenant="default", kind="referral", id=number) or {})["deliveries"]
    assert delivery["state"] == "delivered", delivery
    kinds = [sent["theirs"].partition("/")[0] for sent in delivery["resources"]]
    return {kind: found for kind in kinds for found in hospital.held(kind)}


def test_the_hospitals_task_follows_the_clinics_decisions(bridge: Bridge, hospital: Ward) -> None:
    number = received(bridge)
    assert told(hospital, bridge, number)["Task"]["status"] == "received"
    inbox.decide(bridge, CLINIC, number, "accept")
    assert told(hospital, bridge, number)["Task"]["status"] == "accepted"
    inbox.decide(bridge, CLINIC, number, "schedule", sessions=["S-1"])
    inbox.decide(bridge, CLINIC, number, "complete")
    held = told(hospital, bridge, number)
    assert (held["Task"]["status"], held["ServiceRequest"]["status"]) == ("completed", "completed")


def test_the_order_at_the_hospital_carries_the_hospitals_own_number(bridge: Bridge, hospital: Ward) -> None:
    order = told(hospital, bridge, received(bridge))["ServiceRequest"]
    assert {"system": "urn:oid:2.999.1.7", "value": "ORD-SYN-90001"}.items() <= order["identifier"][0].items()
