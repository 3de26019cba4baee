"""R4's update at the hospital's door: what was read is changed and put back, and becomes what sending it again would have made of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from test_fhir_door import ADDRESS, push, sent, stored

from fhir_bridge import documents
from fhir_bridge.fhir import check
from fhir_bridge.store import audit, clients, referrals, senders
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync.bridge import Bridge

TREATMENTS = "https://fhir-bridge.example/CodeSystem/treatment"
SignIn = Callable[..., FlaskClient]
Change = Callable[[dict[str, Any]], dict[str, Any]]
#: what a hospital changes of its order, alike in what it sent and in what it reads here
CHANGES: dict[str, Change] = {
    "nothing": lambda order: order,
    "priority": lambda order: order | {"priority": "stat"},
    "note": lambda order: order | {"note": [{"text": "Now every eight weeks."}]},
    "no note": lambda order: {name: said for name, said in order.items() if name != "note"},
    "reason": lambda order: {name: said for name, said in order.items() if name not in ("reasonCode", "reasonReference")},
    "treatment": lambda order: order | {"code": {"coding": [{"system": TREATMENTS, "code": "ketamine"}]}},
    "withdrawn": lambda order: order | {"status": "revoked"},
    "by mistake": lambda order: order | {"status": "entered-in-error"},
}


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def put(client: FlaskClient, resource: dict[str, Any], id: str | None = None, **headers: str) -> Any:
    place = f"/fhir/{resource['resourceType']}/{id or resource['id']}"
    return client.put(
        place, json=resource, content_type="application/fhir+json", headers={n.replace("_", "-"): v for n, v in headers.items()}
    )


def read(client: FlaskClient, kind: str = "ServiceRequest") -> dict[str, Any]:
    [entry] = client.get(f"/fhir/{kind}").json["entry"]
    found: dict[str, Any] = entry["resource"]
    return found


def assert_outcome(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.data
    assert answer.mimetype == "application/fhir+json"
    assert (answer.json["resourceType"], answer.json["issue"][0]["code"]) == ("OperationOutcome", code)


def versions(bridge: Bridge, tenant: str = "north") -> list[dict[str, Any]]:
    """The records, without the time of receipt."""
    found = sorted(stored(bridge, tenant), key=lambda one: one["referral"].get("version", 1))
    return [one | {"referral": {name: said for name, said in one["referral"].items() if name != "received_at"}} for one in found]


def without_time(resource: dict[str, Any]) -> dict[str, Any]:
    return resource | {"meta": resource["meta"]["versionId"]}


def signed(app: Flask, bridge: Bridge, tenant: str) -> FlaskClient:
    """A hospital of the same name at another site."""
    with bridge.store.transaction() as tx:
        key = clients.add(tx, tenant=tenant, id="general", name="general", kind="hospital", now=tx.now)
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.mark.parametrize("change", CHANGES)
def test_putting_a_changed_order_makes_the_versions_that_sending_it_again_makes(app: Flask, bridge: Bridge, change: str):
    putting, sending = (signed(app, bridge, tenant) for tenant in ("north", "south"))
    for each in (putting, sending):
        assert push(each, sent("transaction"), "/fhir").status_code == 200
    answer = put(putting, CHANGES[change](read(putting)))
    assert answer.status_code == 200, answer.data
    assert check.faults(answer.json) == []
    document = sent("transaction")
    document["entry"][-1]["resource"] = CHANGES[change](document["entry"][-1]["resource"])
    assert push(sending, document, "/fhir").status_code == 200
    made = versions(bridge, "north")
    assert len(made) == (1 if change == "nothing" else 2)
    assert made == versions(bridge, "south")
    assert answer.headers["ETag"] == f'W/"{len(made)}"'
    assert without_time(answer.json) == without_time(read(putting))


@pytest.mark.parametrize("shape", ["task", "transaction", "message", "service-request"])
def test_what_is_read_and_put_back_as_it_is_changes_nothing(hospital: FlaskClient, bridge: Bridge, shape: str):
    push(hospital, sent(shape), ADDRESS[shape])
    before = stored(bridge)
    for kind in ("ServiceRequest", "Task"):
        shown = hospital.get(f"/fhir/{kind}/{read(hospital, kind)['id']}")
        answer = put(hospital, shown.json, If_Match=shown.headers["ETag"])
        assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')
        assert without_time(answer.json) == without_time(shown.json)
    assert stored(bridge) == before


def test_a_hospital_cancels_at_the_task_and_says_why(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("task"), "/fhir/Task")
    answer = put(hospital, read(hospital, "Task") | {"status": "cancelled", "statusReason": {"text": "The patient moved."}})
    assert (answer.status_code, answer.json["status"], answer.json["statusReason"]["text"]) == (200, "cancelled", "The patient moved.")
    assert [one["referral"].get("status_reason") for one in versions(bridge)] == [None, "The patient moved."]
    assert put(hospital, answer.json).headers["ETag"] == 'W/"2"'
    assert_outcome(put(hospital, read(hospital) | {"priority": "stat"}), 409, "conflict")


@pytest.mark.parametrize("decision", ["accept", "hold", "decline"])
def test_what_the_clinic_said_stays_whatever_is_put_over_it(hospital: FlaskClient, north: FlaskClient, bridge: Bridge, decision: str):
    push(hospital, sent("service-request"))
    order, task = read(hospital), read(hospital, "Task")
    id = stored(bridge)[0]["referral"]["id"]
    assert north.post(f"/api/v1/referrals/{id}/{decision}", json={} if decision == "accept" else {"reason": "Full."}).status_code == 202
    said = versions(bridge)[-1]
    assert put(hospital, task).json["status"] == read(hospital, "Task")["status"]
    assert put(hospital, read(hospital, "Task")).status_code == 200
    assert put(hospital, read(hospital)).status_code == 200
    assert versions(bridge)[-1] == said
    changed, over = put(hospital, order | {"priority": "stat"}), decision == "decline"
    assert changed.status_code == (409 if over else 200)
    assert versions(bridge)[-1]["referral"] == said["referral"] | ({} if over else {"urgency": "stat", "version": 3})


def test_a_status_that_is_the_clinics_to_say_is_refused(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    assert_outcome(put(hospital, read(hospital, "Task") | {"status": "completed"}), 422, "business-rule")
    assert_outcome(put(hospital, read(hospital) | {"status": "completed"}), 422, "business-rule")


def test_if_match_that_names_the_version_lets_the_update_in(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    for number, condition in enumerate(('W/"1"', '"2"', "*", 'W/"7", W/"4"'), 1):
        changed = put(hospital, read(hospital) | {"note": [{"text": f"Change {number}"}]}, If_Match=condition)
        assert (changed.status_code, changed.headers["ETag"]) == (200, f'W/"{number + 1}"')


def test_if_match_that_names_another_version_changes_nothing(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    before = stored(bridge)
    for kind in ("ServiceRequest", "Task"):
        for condition in ('W/"2"', "1", "", "abc", 'W/""', 'W/"1', '"*"'):
            assert_outcome(put(hospital, read(hospital, kind) | {"priority": "stat"}, If_Match=condition), 412, "conflict")
    assert stored(bridge) == before


def test_an_update_of_what_the_clinic_moved_on_is_told_by_if_match(hospital: FlaskClient, north: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    shown = hospital.get(f"/fhir/ServiceRequest/{read(hospital)['id']}")
    id = stored(bridge)[0]["referral"]["id"]
    assert north.post(f"/api/v1/referrals/{id}/accept", json={}).status_code == 202
    assert_outcome(put(hospital, shown.json | {"priority": "stat"}, If_Match=shown.headers["ETag"]), 412, "conflict")
    again = hospital.get(f"/fhir/ServiceRequest/{shown.json['id']}")
    assert put(hospital, again.json | {"priority": "stat"}, If_Match=again.headers["ETag"]).headers["ETag"] == 'W/"3"'


def test_an_entry_of_a_transaction_heeds_its_if_match(hospital: FlaskClient, bridge: Bridge):
    document = sent("transaction")
    document["entry"][-1]["request"]["ifMatch"] = 'W/"1"'
    assert_outcome(push(hospital, document, "/fhir"), 412, "conflict")
    assert stored(bridge) == []
    push(hospital, sent("service-request"))
    document["entry"][-1]["resource"]["priority"] = "stat"
    assert push(hospital, document, "/fhir").status_code == 200
    document["entry"][-1]["resource"]["priority"] = "routine"
    assert_outcome(push(hospital, document, "/fhir"), 412, "conflict")
    assert [one["referral"]["urgency"] for one in versions(bridge)] == ["urgent", "stat"]


def test_only_what_was_sent_here_by_the_same_hospital_can_be_changed(clinic: SignIn, hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    order, task, before = read(hospital), read(hospital, "Task"), stored(bridge)
    for stranger in (clinic("south", kind="hospital"), another(clinic, bridge)):
        for resource in (order, task):
            assert_outcome(put(stranger, resource), 404, "not-found")
            assert_outcome(put(stranger, resource, If_Match='W/"1"'), 404, "not-found")
    assert_outcome(put(hospital, order | {"id": "unknown"}), 404, "not-found")
    assert_outcome(put(hospital, order | {"id": task["id"]}), 404, "not-found")
    assert stored(bridge) == before


def another(clinic: SignIn, bridge: Bridge) -> FlaskClient:
    """Another hospital of the same site."""
    with bridge.store.transaction() as tx:
        key = clients.add(tx, tenant="north", id="another", name="another", kind="hospital", now=tx.now)
    found = clinic("south").application.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return found


def test_a_body_of_another_id_or_type_and_another_orders_number_are_refused(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    order, before = read(hospital), stored(bridge)
    assert_outcome(put(hospital, order | {"id": "other"}, order["id"]), 400, "structure")
    assert_outcome(put(hospital, {name: said for name, said in order.items() if name != "id"}, order["id"]), 400, "structure")
    task = read(hospital, "Task")
    place = f"/fhir/ServiceRequest/{order['id']}"
    assert_outcome(hospital.put(place, json=task, content_type="application/fhir+json"), 400, "structure")
    renamed = order | {"identifier": [{"system": "urn:oid:2.999.1.7", "value": "ORD-OTHER"}]}
    assert_outcome(put(hospital, renamed), 422, "business-rule")
    assert_outcome(put(hospital, {name: said for name, said in order.items() if name != "identifier"}), 422, "business-rule")
    assert stored(bridge) == before


#: method, place → what can be done there
FIXED = {
    ("PUT", "Patient/{Patient}"): {"GET"},
    ("PUT", "ServiceRequest"): {"GET", "POST"},
    ("PUT", "Task/{Task}/_history/1"): {"GET"},
    ("PUT", ""): {"POST"},
    ("DELETE", "ServiceRequest/{ServiceRequest}"): {"GET", "PUT"},
    ("DELETE", "Task/{Task}"): {"GET", "PUT"},
    ("DELETE", "Patient/{Patient}"): {"GET"},
    ("PATCH", "Task/{Task}"): {"GET", "PUT"},
}


def test_where_something_cannot_be_done_the_answer_says_what_can(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    before, ids = stored(bridge), {kind: read(hospital, kind)["id"] for kind in ("ServiceRequest", "Task", "Patient")}
    for (method, place), allowed in FIXED.items():
        answer = hospital.open(f"/fhir/{place.format(**ids)}", method=method, json={}, content_type="application/fhir+json")
        assert_outcome(answer, 405, "not-supported")
        assert set(answer.headers["Allow"].replace(" ", "").split(",")) - {"HEAD", "OPTIONS"} == allowed, (method, place)
    assert stored(bridge) == before


def test_an_update_is_kept_as_it_came_and_is_in_the_audit_trail(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    changed = read(hospital) | {"priority": "stat"}
    answer = put(hospital, changed, Prefer="return=minimal")
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (200, b"", 'W/"2"')
    id = stored(bridge)[0]["referral"]["id"]
    with bridge.store.reading() as tx:
        kept = referrals.messages_of(tx, "north", id)
        assert documents.loads(kept[-1].body) == changed
        assert [one.action for one in audit.of_subject(tx, "north", f"referral/{id}")] == ["receive", "receive"]


def test_an_order_that_was_stored_unread_is_read_before_it_is_changed(hospital: FlaskClient, bridge: Bridge):
    for number in ("ORD-1", "ORD-2"):  # the second is like the first, and is answered before it is read
        document = json.loads(json.dumps(sent("transaction")).replace("ORD-SYN-90001", number))
        answer = push(hospital, document, "/fhir").json
    id = answer["entry"][-1]["response"]["location"].split("/")[-3]
    changed = document["entry"][-1]["resource"] | {"id": id, "priority": "stat", "subject": {"reference": "#p"}}
    changed["contained"] = [document["entry"][0]["resource"] | {"id": "p"}]
    changed |= {"requester": {"display": "Dr. Placeholda Synthetic-Hazel"}}
    told = {name: said for name, said in changed.items() if name not in ("reasonReference", "insurance", "supportingInfo")}
    assert put(hospital, told, If_Match='W/"1"').headers["ETag"] == 'W/"2"'
    assert sorted(one["referral"]["urgency"] for one in stored(bridge)) == ["stat", "urgent", "urgent"]


def test_the_clinic_sees_the_update_and_what_of_it_is_not_in_the_record(hospital: FlaskClient, north: FlaskClient):
    push(hospital, sent("transaction"), "/fhir")
    [listed] = north.get("/api/v1/referrals").json["referrals"]
    put(hospital, read(hospital) | {"priority": "stat", "patientInstruction": "Come fasting."})
    shown = north.get(f"/api/v1/referrals/{listed['id']}").json
    assert (shown["version"], shown["record"]["referral"]["urgency"]) == (2, "stat")
    assert shown["left_out"] == ["ServiceRequest.patientInstruction: is not part of a referral here"]
    put(hospital, read(hospital, "Task") | {"status": "cancelled", "note": [{"text": "Moved."}]})
    assert north.get(f"/api/v1/referrals/{listed['id']}").json["status"] == "cancelled"


def test_references_that_are_said_in_full_are_ours_too(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("transaction"), "/fhir")
    before, order, task = stored(bridge), read(hospital), read(hospital, "Task")
    full = order | {"subject": {"reference": f"http://localhost/fhir/{order['subject']['reference']}"}}
    assert put(hospital, full).headers["ETag"] == 'W/"1"'
    assert put(hospital, task | {"focus": {"reference": f"http://localhost/fhir/ServiceRequest/{order['id']}"}}).headers["ETag"] == 'W/"1"'
    assert stored(bridge) == before
    strange = put(hospital, task | {"focus": {"reference": "https://elsewhere.example/fhir/ServiceRequest/1"}})
    assert_outcome(strange, 422, "business-rule")


def test_an_update_whose_answer_was_lost_gets_it_under_its_request_id(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    changed, told = read(hospital) | {"priority": "stat"}, {"If_Match": 'W/"1"', "X_Request_ID": "once"}
    first = put(hospital, changed, **told)
    again = put(hospital, changed, **told)
    assert (again.status_code, again.data) == (first.status_code, first.data) == (200, first.data)
    assert_outcome(put(hospital, changed, If_Match='W/"1"'), 412, "conflict")


def test_a_task_whose_order_is_not_here_yet_cannot_be_changed(app: Flask, bridge: Bridge):
    with bridge.store.transaction() as tx:
        key = clients.add(tx, tenant="north", id="far", name="far", kind="hospital", now=tx.now)
        senders.put(tx, Sender("north", "far", origin="https://fhir.hospital.example"))
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    order = "https://fhir.hospital.example/r4/ServiceRequest/1"
    task = {"resourceType": "Task", "id": "t", "status": "requested", "intent": "order", "focus": {"reference": order}}
    begun = push(client, task, "/fhir/Task")
    assert begun.status_code == 201
    assert_outcome(put(client, begun.json | {"status": "cancelled"}), 409, "conflict")
