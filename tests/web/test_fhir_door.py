"""The hospital's door on a real database: four shapes, one referral; a repetition is told; every answer is right R4."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_bridge import documents
from fhir_bridge.fhir import check
from fhir_bridge.store import audit, records, referrals
from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]
INBOUND = Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound"
ADDRESS = {
    "service-request": "/fhir/ServiceRequest",
    "transaction": "/fhir",
    "message": "/fhir/$process-message",
    "task": "/fhir/Task",
}


def sent(shape: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INBOUND / f"{shape}.json").read_text())
    return found


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def push(client: FlaskClient, document: Any, address: str = "/fhir/ServiceRequest", **headers: str) -> Any:
    return client.post(address, json=document, content_type="application/fhir+json", headers=headers)


def stored(bridge: Bridge, tenant: str = "north") -> list[dict[str, Any]]:
    with bridge.store.reading() as tx:
        return [documents.loads(one.document) for one in records.listing(tx, tenant=tenant, kind="referral")]


@pytest.mark.parametrize("shape", ADDRESS)
def test_each_shape_becomes_the_same_referral(hospital: FlaskClient, bridge: Bridge, shape: str):
    answer = push(hospital, sent(shape), ADDRESS[shape])
    assert answer.status_code == (201 if "Location" in answer.headers else 200), answer.json
    assert check.faults(answer.json) == []
    [found] = stored(bridge)
    received = found["referral"].pop("received_at")
    assert received
    assert found == json.loads((INBOUND / "record.json").read_text())


@pytest.mark.parametrize("shape", ADDRESS)
def test_what_was_sent_is_kept_byte_for_byte(hospital: FlaskClient, bridge: Bridge, shape: str):
    body = (INBOUND / f"{shape}.json").read_bytes()
    hospital.post(ADDRESS[shape], data=body, content_type="application/fhir+json")
    with bridge.store.reading() as tx:
        [standing] = referrals.listing(tx, "north")
        assert [message.body for message in referrals.messages_of(tx, "north", standing.id)] == [body]
        assert [entry.action for entry in audit.of_subject(tx, "north", f"referral/{standing.id}")] == ["receive"]


def test_a_created_order_can_be_read_where_the_answer_says(hospital: FlaskClient):
    created = push(hospital, sent("service-request"))
    assert (created.status_code, created.headers["ETag"], created.content_type) == (201, 'W/"1"', "application/fhir+json; charset=utf-8")
    place = created.headers["Location"].removesuffix("/_history/1").removeprefix("http://localhost")
    shown = hospital.get(place)
    assert (shown.status_code, shown.headers["ETag"]) == (200, 'W/"1"')
    assert {"system": "urn:oid:2.999.1.7", "value": "ORD-SYN-90001"}.items() <= shown.json["identifier"][0].items()
    assert check.faults(shown.json) == []
    assert hospital.get(place, headers={"If-None-Match": 'W/"1"'}).status_code == 304


def test_a_task_tells_that_the_clinic_received_it(hospital: FlaskClient):
    created = push(hospital, sent("task"), "/fhir/Task")
    assert (created.status_code, created.json["resourceType"], created.json["status"]) == (201, "Task", "received")
    assert hospital.get(f"/fhir/Task/{created.json['id']}").json["focus"] == created.json["focus"]


def test_a_message_is_answered_by_a_message_that_names_it(hospital: FlaskClient):
    answer = push(hospital, sent("message"), "/fhir/ServiceRequest/$referral-request").json
    header = answer["entry"][0]["resource"]
    assert header["response"] == {"identifier": "3f6f3b0c-5d0e-4e07-9a55-0b8f0c1d2e3f", "code": "ok"}
    assert [entry["resource"]["resourceType"] for entry in answer["entry"]] == ["MessageHeader", "Task", "ServiceRequest"]


def test_a_transaction_is_answered_entry_by_entry(hospital: FlaskClient):
    document = sent("transaction")
    answer = push(hospital, document, "/fhir/").json
    assert answer["type"] == "transaction-response"
    places = {
        entry["resource"]["resourceType"]: one["response"].get("location", "")
        for entry, one in zip(document["entry"], answer["entry"], strict=True)
    }
    assert [kind for kind, place in places.items() if place] == ["ServiceRequest"]


@pytest.mark.parametrize("shape", ADDRESS)
def test_the_same_message_again_gets_the_first_answer(hospital: FlaskClient, bridge: Bridge, shape: str):
    first, again = (push(hospital, sent(shape), ADDRESS[shape]) for _ in range(2))
    assert (again.status_code, again.data, again.headers.get("Location")) == (first.status_code, first.data, first.headers.get("Location"))
    assert len(stored(bridge)) == 1


def test_the_same_order_in_all_four_shapes_is_one_referral(hospital: FlaskClient, bridge: Bridge):
    answers = [push(hospital, sent(shape), address).status_code for shape, address in ADDRESS.items()]
    assert answers == [201, 200, 200, 200]
    assert len(stored(bridge)) == 1


def test_a_request_id_is_not_used_for_two_messages(hospital: FlaskClient, bridge: Bridge):
    first = push(hospital, sent("service-request"), **{"X-Request-ID": "one"})
    assert push(hospital, sent("service-request"), **{"X-Request-ID": "one"}).data == first.data
    other = push(hospital, sent("service-request") | {"priority": "stat"}, **{"X-Request-ID": "one"})
    assert (other.status_code, other.json["issue"][0]["code"]) == (409, "conflict")
    assert len(stored(bridge)) == 1


def test_a_changed_order_is_the_next_version_of_its_referral(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    changed = push(hospital, sent("service-request") | {"priority": "stat"})
    assert (changed.status_code, changed.headers["ETag"]) == (200, 'W/"2"')
    assert sorted(one["referral"]["urgency"] for one in stored(bridge)) == ["stat", "urgent"]


def test_a_revoked_order_cancels_its_referral_and_nothing_changes_it_afterwards(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    revoked = push(hospital, sent("service-request") | {"status": "revoked"})
    assert (revoked.status_code, revoked.json["status"]) == (200, "revoked")
    assert push(hospital, sent("service-request") | {"status": "revoked"}).status_code == 200
    assert push(hospital, sent("service-request") | {"priority": "stat"}).status_code == 409


def test_an_order_nobody_sent_cannot_be_taken_back(hospital: FlaskClient, bridge: Bridge):
    refused = push(hospital, sent("service-request") | {"status": "revoked"})
    assert (refused.status_code, refused.json["issue"][0]["expression"]) == (422, ["ServiceRequest.status"])
    assert stored(bridge) == []


def test_another_hospital_cannot_read_or_change_it(clinic: SignIn, hospital: FlaskClient, bridge: Bridge):
    created = push(hospital, sent("service-request"))
    foreign = clinic("south", kind="hospital")
    place = f"/fhir/ServiceRequest/{created.json['id']}"
    assert foreign.get(place).status_code == 404
    push(foreign, sent("service-request") | {"priority": "stat"})
    assert [one["referral"]["urgency"] for one in stored(bridge)] == ["urgent"]
    assert [one["referral"]["urgency"] for one in stored(bridge, "south")] == ["stat"]


def test_the_same_hospital_number_is_the_same_patient_and_another_issuers_is_not(hospital: FlaskClient, bridge: Bridge):
    for number, issuer in (("1", "urn:oid:2.999.1.1"), ("2", "urn:oid:2.999.1.1"), ("3", "urn:oid:2.999.5.1")):
        body = (
            json.dumps(sent("service-request"))
            .replace("ORD-SYN-90001", f"ORD-SYN-9100{number}")
            .replace('urn:oid:2.999.1.1"', f'{issuer}"')
        )
        push(hospital, json.loads(body))
    known = {one["referral"]["placer"]["value"][-1]: one["patient"]["id"] for one in stored(bridge)}
    assert known["1"] == known["2"] != known["3"]


def test_a_sender_whose_clock_is_ahead_is_heard(hospital: FlaskClient, bridge: Bridge):
    assert push(hospital, sent("service-request") | {"authoredOn": "2999-01-01T00:00:00Z"}).status_code == 201
    assert push(hospital, sent("service-request") | {"authoredOn": "2999-01-01T00:00:00Z", "priority": "stat"}).status_code == 200
    assert all("requested_at" not in found["referral"] for found in stored(bridge))


def test_a_day_without_a_time_is_not_made_into_a_time(hospital: FlaskClient, bridge: Bridge):
    assert push(hospital, sent("service-request") | {"authoredOn": "2026-04-17"}).status_code == 201
    [found] = stored(bridge)
    assert "requested_at" not in found["referral"]
