"""The vendors' small print, row by row: what Epic, Oracle Health and athenahealth refuse, ignore or insist on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_bridge.sandbox.profile import NAMES, load
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store

FHIR_JSON = "application/fhir+json"
LOINC = "http://loinc.org"
CATEGORY = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}]
HELD = [
    {"resourceType": "Patient", "id": "P1", "identifier": [{"system": "urn:mrn", "value": "MRN-1"}]},
    {"resourceType": "Practitioner", "id": "D1"},
    {"resourceType": "Location", "id": "L1"},
    {"resourceType": "Slot", "id": "S1"},
    {"resourceType": "Encounter", "id": "E1", "status": "finished", "subject": {"reference": "Patient/P1"}},
]
HEART_RATE = {
    "resourceType": "Observation",
    "status": "final",
    "category": CATEGORY,
    "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
    "subject": {"reference": "Patient/P1"},
    "performer": [{"reference": "Practitioner/D1"}],
    "effectiveDateTime": "2026-03-02T09:00:00-05:00",
    "valueQuantity": {"value": 72, "code": "/min"},
}
ENCOUNTER = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"code": "AMB"},
    "type": [{"text": "infusion"}],
    "subject": {"reference": "Patient/P1"},
    "location": [{"location": {"reference": "Location/L1"}}],
}
BOOKED = {
    "resourceType": "Appointment",
    "status": "booked",
    "slot": [{"reference": "Slot/S1"}],
    "participant": [{"actor": {"reference": "Patient/P1"}, "status": "accepted"}],
}


class Twin:
    """A client of a twin that holds a patient, a doctor, a place, a slot and an encounter."""

    def __init__(self, name: str, **behaviour: Any) -> None:
        self.now = datetime(2026, 3, 2, 12, tzinfo=UTC)
        hospital = load(name)
        hospital = replace(hospital, behaviour=replace(hospital.behaviour, **behaviour))
        store = Store(clock=lambda: self.now)
        store.hold(HELD)
        self.client: FlaskClient = create_app(hospital, store=store).test_client()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = {"Content-Type": FHIR_JSON} | {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.open(f"/fhir/{path}", method=method, json=body, headers=sent)

    def created(self, body: dict[str, Any]) -> str:
        """Creates, and tells the new id by Location."""
        reply = self.send("POST", body["resourceType"], body)
        assert reply.status_code == 201, reply.text
        return str(reply.headers["Location"]).partition("/_history")[0].rpartition("/")[2]

    def refusal(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """The status and text of a request that must be refused by an outcome."""
        reply = self.send(method, path, body, **headers)
        assert reply.json["resourceType"] == "OperationOutcome"
        return reply.status_code, reply.json["issue"][0]["diagnostics"]


@pytest.fixture
def epic() -> Twin:
    return Twin("epic")


@pytest.fixture
def oracle() -> Twin:
    return Twin("oracle")


@pytest.fixture
def athena() -> Twin:
    return Twin("athena")


@pytest.mark.parametrize("name", NAMES)
def test_every_twin_serves_its_own_statement(name: str):
    statement = Twin(name).send("GET", "metadata").json
    assert statement == load(name).statement
    assert statement["fhirVersion"] == "4.0.1"


@pytest.mark.parametrize("name", ["epic", "oracle", "athena"])
def test_no_vendor_takes_a_transaction_a_delete_or_a_put_of_its_own_id(name: str):
    twin = Twin(name)
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": []}
    assert twin.refusal("POST", "", bundle)[0] == 405
    assert twin.refusal("DELETE", "Observation/1")[0] == 405
    assert twin.refusal("PUT", "Observation/ours", HEART_RATE | {"id": "ours"}, If_Match='W/"1"')[0] in (404, 405)


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("epic", "Encounter", 405),
        ("epic", "Appointment", 405),
        ("epic", "Task", 405),
        ("epic", "MedicationAdministration", 405),
        ("oracle", "MedicationAdministration", 405),
        ("oracle", "ServiceRequest", 405),
        ("oracle", "Task", 404),
        ("athena", "Observation", 405),
        ("athena", "DocumentReference", 405),
    ],
)
def test_a_create_that_is_not_advertised_is_refused(name: str, kind: str, status: int):
    assert Twin(name).refusal("POST", kind, {"resourceType": kind})[0] == status


def test_only_oracle_takes_a_batch(oracle: Twin, epic: Twin, athena: Twin):
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/P1"}}]}
    assert oracle.send("POST", "", bundle).json["entry"][0]["response"]["status"] == "200 OK"
    assert [twin.refusal("POST", "", bundle)[0] for twin in (epic, athena)] == [405, 405]


def test_a_search_by_what_is_not_listed_is_refused(epic: Twin, oracle: Twin, athena: Twin):
    assert epic.refusal("GET", "Observation?_lastUpdated=ge2026-01-01")[0] == 400
    assert oracle.refusal("GET", "Patient?_lastUpdated=ge2026-01-01")[0] == 400
    assert oracle.send("GET", "Observation?patient=P1&_lastUpdated=ge2026-01-01").status_code == 200
    assert athena.send("GET", "Patient?_lastUpdated=ge2026-01-01").status_code == 200


# Epic


def test_epic_answers_a_create_with_a_place_and_no_body(epic: Twin):
    reply = epic.send("POST", "Observation", HEART_RATE)
    assert (reply.status_code, reply.data) == (201, b"")
    assert "/fhir/Observation/" in reply.headers["Location"]


def test_epic_ignores_if_none_exist_and_doubles(epic: Twin):
    body = HEART_RATE | {"identifier": [{"system": "urn:x", "value": "O-1"}]}
    replies = [epic.send("POST", "Observation", body, If_None_Exist="identifier=urn:x|O-1") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert epic.send("GET", "Observation?identifier=urn:x|O-1").json["total"] == 2


def test_epic_has_no_flowsheet_row_for_every_code(epic: Twin):
    pain = HEART_RATE | {"code": {"coding": [{"system": LOINC, "code": "72514-3"}]}}
    reply = epic.send("POST", "Observation", pain)
    assert reply.status_code == 400
    assert reply.json["issue"][0]["details"]["coding"][0]["code"] == "59188"


def test_epic_calls_a_second_patient_with_an_identifier_a_duplicate(epic: Twin):
    reply = epic.send("POST", "Patient", {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "MRN-1"}]})
    assert reply.status_code == 422
    assert reply.json["issue"][0]["details"]["coding"][0]["code"] == "59141"


def test_epic_refuses_a_stale_version_with_412(epic: Twin):
    identity = epic.created(HEART_RATE)
    newer = HEART_RATE | {"id": identity, "status": "amended"}
    assert epic.send("PUT", f"Observation/{identity}", newer, If_Match='W/"1"').status_code == 200
    assert epic.refusal("PUT", f"Observation/{identity}", newer | {"status": "corrected"}, If_Match='W/"1"')[0] == 412


def test_epic_gives_the_newest_first_and_at_most_a_hundred(epic: Twin):
    identities = []
    for _ in range(102):
        epic.now += timedelta(seconds=1)
        identities.append(epic.created(HEART_RATE))
    page = epic.send("GET", "Observation?patient=P1&_count=1000").json
    assert [entry["resource"]["id"] for entry in page["entry"]] == identities[:1:-1]


# Oracle


def test_oracle_insists_on_if_match(oracle: Twin):
    identity = oracle.created(HEART_RATE)
    newer = HEART_RATE | {"id": identity, "status": "amended"}
    assert oracle.refusal("PUT", f"Observation/{identity}", newer)[0] == 412
    assert oracle.send("PUT", f"Observation/{identity}", newer, If_Match='W/"1"').status_code == 200
    assert oracle.refusal("PUT", f"Observation/{identity}", newer | {"status": "corrected"}, If_Match='W/"1"')[0] == 409


def test_oracle_ignores_our_identifier_without_a_word(oracle: Twin):
    identity = oracle.created(HEART_RATE | {"identifier": [{"system": "urn:x", "value": "O-1"}], "note": [{"text": "invented"}]})
    kept = oracle.send("GET", f"Observation/{identity}").json
    assert "identifier" not in kept
    assert "note" not in kept
    assert kept["valueQuantity"]["value"] == 72


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"performer": []}, "performer"),
        ({"category": CATEGORY * 2}, "category"),
        ({"effectiveDateTime": None}, "effectiveDateTime"),
        ({"status": "preliminary"}, "status"),
        ({"valueQuantity": None}, "valueQuantity"),
        ({"component": [{"code": {"coding": [{"system": LOINC, "code": "72514-3"}]}}]}, "component"),
    ],
)
def test_oracle_refuses_an_observation_with(oracle: Twin, change: dict[str, Any], told: str):
    body = {key: value for key, value in (HEART_RATE | change).items() if value is not None}
    status, text = oracle.refusal("POST", "Observation", body)
    assert status == 422
    assert told in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": None}, "type"),
        ({"subject": None}, "subject"),
        ({"status": "cancelled"}, "cancelled"),
        ({"location": None}, "serviceProvider"),
        ({"location": ENCOUNTER["location"] * 2}, "location"),
    ],
)
def test_oracle_refuses_an_encounter_with(oracle: Twin, change: dict[str, Any], told: str):
    body = {key: value for key, value in (ENCOUNTER | change).items() if value is not None}
    status, text = oracle.refusal("POST", "Encounter", body)
    assert status == 422
    assert told in text


def test_oracle_lets_the_period_of_an_encounter_be_patched_but_not_its_status(oracle: Twin):
    identity = oracle.created(ENCOUNTER | {"period": {"start": "2026-03-02T09:00:00-05:00"}})
    end = [{"op": "add", "path": "/period/end", "value": "2026-03-02T11:00:00-05:00"}]
    status = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    headers = {"Content_Type": "application/json-patch+json"}
    assert oracle.refusal("PATCH", f"Encounter/{identity}", status, If_Match='W/"1"', **headers)[0] == 422
    assert oracle.send("PATCH", f"Encounter/{identity}", end, If_Match='W/"1"', **headers).status_code == 200
    kept = oracle.send("GET", f"Encounter/{identity}").json
    assert kept["period"]["end"] == "2026-03-02T11:00:00-05:00"
    assert "class" not in kept


def test_an_oracle_appointment_goes_its_way_step_by_step(oracle: Twin):
    identity = oracle.created(BOOKED)
    headers = {"Content_Type": "application/json-patch+json"}

    def move(status: str, version: int) -> int:
        operations = [{"op": "replace", "path": "/status", "value": status}]
        reply = oracle.send("PATCH", f"Appointment/{identity}", operations, If_Match=f'W/"{version}"', **headers)
        return int(reply.status_code)

    assert [move("fulfilled", 1), move("arrived", 1), move("fulfilled", 2), move("booked", 3)] == [422, 200, 200, 422]


@pytest.mark.parametrize(
    "change",
    [
        {"slot": []},
        {"status": "pending"},
        {"status": "proposed"},
        {"participant": BOOKED["participant"] * 2},
        {"participant": [{"actor": {"reference": "Patient/P1"}, "status": "tentative"}]},
    ],
)
def test_oracle_refuses_an_appointment_with(oracle: Twin, change: dict[str, Any]):
    assert oracle.refusal("POST", "Appointment", BOOKED | change)[0] == 422


def test_oracle_finds_appointments_only_by_id_or_date_and_one_person_or_place(oracle: Twin):
    oracle.created(BOOKED)
    assert oracle.refusal("GET", "Appointment?patient=P1")[0] == 400
    assert oracle.send("GET", "Appointment?patient=P1&date=ge2026-01-01").status_code == 200
    assert oracle.send("GET", "Appointment?_id=1").status_code == 200
    assert oracle.refusal("GET", "ServiceRequest?code=1")[0] == 400


# athenahealth


def test_athena_only_reads(athena: Twin):
    assert athena.send("GET", "Encounter/E1").json["id"] == "E1"
    assert len(athena.send("GET", "Encounter?patient=P1").json["entry"]) == 1
    assert athena.refusal("PUT", "Encounter/E1", HELD[4])[0] == 405
    assert athena.refusal("PATCH", "Encounter/E1", [])[0] in (400, 405)


# What a server may do to any client


def test_what_is_accepted_may_show_only_later():
    twin = Twin("epic", created_status=202, visible_after=60)
    reply = twin.send("POST", "Observation", HEART_RATE)
    assert (reply.status_code, reply.data) == (202, b"")
    path = "Observation/" + reply.headers["Location"].rpartition("/")[2]
    assert twin.refusal("GET", path)[0] == 404
    assert "entry" not in twin.send("GET", "Observation?patient=P1").json
    twin.now += timedelta(seconds=60)
    assert twin.send("GET", path).status_code == 200
    assert len(twin.send("GET", "Observation?patient=P1").json["entry"]) == 1


def test_errors_of_the_framework_are_outcomes_too():
    twin = Twin("hapi")
    assert twin.refusal("PROPFIND", "Patient")[0] == 405
    assert twin.refusal("GET", "Patient/1/2/3/4")[0] == 404
