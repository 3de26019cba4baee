"""What the hospital's door refuses: in FHIR, with the element, without a word of the patient, and nothing becomes a referral."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent, stored

from fhir_bridge.fhir import check
from fhir_bridge.store.referral_tables import referrals_raw
from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]


#: what the statement tells of as operations, as transaction, or not at all
ALWAYS = {
    ("/fhir/metadata", "GET"),
    ("/fhir", "POST"),
    ("/fhir/", "POST"),
    ("/fhir/$process-message", "POST"),
    ("/fhir/ServiceRequest/$referral-request", "POST"),
    *((f"/fhir/{kind}/$validate", "POST") for kind in ("ServiceRequest", "Task", "Patient", "Bundle")),
}
#: what R4's http page has for each interaction
PLACES: dict[str, Callable[[str], list[tuple[str, str]]]] = {
    "create": lambda kind: [(f"/fhir/{kind}", "POST")],
    "update": lambda kind: [(f"/fhir/{kind}/<string:id>", "PUT")],
    "read": lambda kind: [(f"/fhir/{kind}/<string:id>", "GET")],
    "vread": lambda kind: [(f"/fhir/{kind}/<string:id>/_history/<string:version>", "GET")],
    "history-instance": lambda kind: [(f"/fhir/{kind}/<string:id>/_history", "GET")],
    "search-type": lambda kind: [(f"/fhir/{kind}", "GET"), (f"/fhir/{kind}/_search", "POST")],
}


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def assert_outcome(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.data
    assert answer.content_type.startswith("application/fhir+json")
    assert check.faults(answer.json) == []
    assert {issue["code"] for issue in answer.json["issue"]} == {code}


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


ORDER = sent("service-request")
BARE = ORDER | {"contained": ORDER["contained"][:1]}
for _name in ("reasonReference", "insurance", "supportingInfo"):
    del BARE[_name]
NO_PATIENT = without(without(BARE, "contained"), "requester") | {"subject": {"reference": "Patient/7"}}
REFUSED = {
    "a patient that was not sent": (NO_PATIENT, "ServiceRequest.subject"),
    "no number of the order": (without(ORDER, "identifier"), "ServiceRequest.identifier"),
    "a treatment nobody knows": (ORDER | {"code": {"text": "Zebra"}}, "ServiceRequest.code"),
    "nobody who refers": (BARE | {"requester": {"type": "Practitioner"}}, "ServiceRequest.requester"),
    "something not to be done": (ORDER | {"doNotPerform": True}, "ServiceRequest.doNotPerform"),
    "a modifier we do not know": (
        ORDER | {"modifierExtension": [{"url": "https://ehr.example/x", "valueBoolean": True}]},
        "ServiceRequest.modifierExtension",
    ),
    "an order that is done": (ORDER | {"status": "completed"}, "ServiceRequest.status"),
}


@pytest.mark.parametrize(
    ("element", "damage"),
    [
        ("Patient.name.family", lambda patient: patient["name"][0].pop("family")),
        ("Patient.name.given", lambda patient: patient["name"][0].pop("given")),
        ("Patient.birthDate", lambda patient: patient.pop("birthDate")),
    ],
)
def test_a_patient_nobody_could_tell_is_refused_whether_known_before_or_not(
    hospital: FlaskClient, bridge: Bridge, element: str, damage: Callable[[Any], Any]
):
    document = copy.deepcopy(ORDER)
    damage(document["contained"][0])
    for _ in range(2):
        refused = push(hospital, document)
        assert_outcome(refused, 422, "business-rule")
        assert refused.json["issue"][0]["expression"] == [element]
        push(hospital, ORDER)
    assert len(stored(bridge)) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_an_order_that_cannot_be_a_referral_is_refused_by_its_element_and_kept(hospital: FlaskClient, bridge: Bridge, name: str):
    document, element = REFUSED[name]
    refused = push(hospital, document)
    assert_outcome(refused, 422, "business-rule")
    assert refused.json["issue"][0]["expression"] == [element]
    assert b"Zebra" not in refused.data
    assert b"Synthetic" not in refused.data
    assert stored(bridge) == []
    with bridge.store.reading() as tx:
        assert [row.status for row in tx.rows(referrals_raw.select())] == [422]


def test_a_focus_that_would_have_to_be_fetched_is_refused(hospital: FlaskClient):
    task = sent("task") | {"focus": {"reference": "https://ehr.example/fhir/ServiceRequest/1"}}
    refused = push(hospital, without(without(without(task, "contained"), "for"), "requester"), "/fhir/Task")
    assert_outcome(refused, 422, "business-rule")
    assert refused.json["issue"][0]["expression"] == ["Task.focus"]
    assert "may not name" in refused.json["issue"][0]["diagnostics"]


def test_two_orders_in_one_message_are_refused(hospital: FlaskClient, bridge: Bridge):
    document = sent("transaction")
    document["entry"].append(json.loads(json.dumps(document["entry"][-1])) | {"fullUrl": "urn:uuid:5b6c0a52-93c5-4a5e-9e3e-000000000001"})
    assert_outcome(push(hospital, document, "/fhir"), 422, "business-rule")
    assert stored(bridge) == []


@pytest.mark.parametrize(
    ("address", "document"),
    [
        ("/fhir/ServiceRequest", {"resourceType": "Patient"}),
        ("/fhir/ServiceRequest", {}),
        ("/fhir/ServiceRequest", ORDER | {"priority": 3}),
        ("/fhir/Task", ORDER),
        ("/fhir", sent("message")),
        ("/fhir/$process-message", sent("transaction")),
        ("/fhir/$process-message", {"resourceType": "Bundle", "type": "message", "entry": []}),
        ("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "DELETE", "url": "Patient/1"}}]}),
    ],
)
def test_what_is_no_fhir_or_of_another_shape_is_unreadable(hospital: FlaskClient, bridge: Bridge, address: str, document: Any):
    assert_outcome(push(hospital, document, address), 400, "structure")
    assert stored(bridge) == []


def test_the_frameworks_own_errors_are_fhir(hospital: FlaskClient, stranger: FlaskClient):
    assert_outcome(stranger.post("/fhir/ServiceRequest", data=b"{"), 401, "login")
    assert_outcome(hospital.get("/fhir/Nothing/at/all"), 404, "not-found")
    assert_outcome(hospital.get("/fhir/ServiceRequest/unknown"), 404, "not-found")
    put = hospital.put("/fhir/Patient/1", json={})
    assert_outcome(put, 405, "not-supported")
    assert "GET" in put.headers["Allow"]
    assert_outcome(hospital.post("/fhir/ServiceRequest", data=b"{", content_type="application/fhir+json"), 400, "structure")
    assert_outcome(hospital.post("/fhir/ServiceRequest", data=b"<a/>", content_type="application/fhir+xml"), 415, "not-supported")
    assert_outcome(hospital.get("/fhir/metadata?_format=xml"), 406, "not-supported")
    assert_outcome(hospital.get("/fhir/metadata", headers={"Accept": "application/fhir+xml"}), 406, "not-supported")


def test_a_body_that_is_too_long_is_refused_in_fhir(hospital: FlaskClient):
    refused = hospital.post("/fhir/ServiceRequest", data=b" " * 10_500_000, content_type="application/fhir+json")
    assert_outcome(refused, 413, "too-long")


def test_only_a_hospitals_key_opens_it_and_it_opens_no_other_door(hospital: FlaskClient, north: FlaskClient):
    assert_outcome(push(north, ORDER), 401, "login")
    assert hospital.post("/api/v1/sessions", json={}).status_code == 401


def test_the_statement_is_open_right_and_says_what_exists(stranger: FlaskClient):
    shown = stranger.get("/fhir/metadata")
    assert shown.status_code == 200
    assert check.faults(shown.json) == []
    [rest] = shown.json["rest"]
    every = [(rule.rule, method) for rule in stranger.application.url_map.iter_rules() for method in rule.methods or ()]
    served = {(rule, method) for rule, method in every if rule.startswith("/fhir") and method not in ("HEAD", "OPTIONS")}
    served = {(rule, method) for rule, method in served if "/.well-known/" not in rule}  # SMART's, not FHIR's
    told = ((one["type"], interaction["code"]) for one in rest["resource"] for interaction in one.get("interaction", []))
    operations = {f"/fhir/{one['type']}/${told['name']}" for one in rest["resource"] for told in one.get("operation", [])}
    assert operations == {rule for rule, _ in ALWAYS if "/$" in rule} - {"/fhir/$process-message"}
    assert served == ALWAYS | {place for kind, code in told for place in PLACES[code](kind)}


def test_prefer_says_how_much_is_sent_back(hospital: FlaskClient):
    minimal = push(hospital, ORDER, Prefer="return=minimal")
    assert (minimal.status_code, minimal.data) == (201, b"")
    told = push(hospital, ORDER, Prefer="return=OperationOutcome")
    assert (told.status_code, told.json["resourceType"]) == (201, "OperationOutcome")
