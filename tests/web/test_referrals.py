"""The clinic's inbox on a real database: what hospitals sent, page by page, and decisions that become versions on their way."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent

from fhir_bridge.store import audit
from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]
AT = "/api/v1/referrals"


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


@pytest.fixture
def task(hospital: FlaskClient) -> Callable[[], Any]:
    """Pushes a referral; asked, gives the hospital's view of it."""
    created = push(hospital, sent("task"), "/fhir/Task").json
    return lambda: hospital.get(f"/fhir/Task/{created['id']}").json


@pytest.fixture
def referral(task: Callable[[], Any], north: FlaskClient) -> str:
    """The address of a referral that just came in."""
    return f"{AT}/{north.get(AT).json['referrals'][0]['id']}"


def test_what_a_hospital_sent_is_in_the_inbox(referral: str, north: FlaskClient):
    [found] = north.get(AT).json["referrals"]
    assert (found["status"], found["sender"], found["version"]) == ("received", "north-hospital", 1)
    assert found["record"]["referral"]["requested"]["treatment"] == "eptinezumab"
    shown = north.get(referral).json
    assert shown["record"] == found["record"]
    assert shown["left_out"] == ["[0].ofType(Patient).name[0].use: nothing speaks of it"]
    assert [delivery["hospital"] for delivery in shown["deliveries"]] == ["general"]


def test_a_document_that_came_along_is_given_byte_for_byte(referral: str, north: FlaskClient, hospital: FlaskClient, clinic: SignIn):
    [attached] = north.get(referral).json["record"]["referral"]["attachments"]
    given = north.get(f"{referral}/attachments/{attached['id']}")
    assert (given.status_code, given.data, given.content_type) == (200, b"Invented letter.", "application/octet-stream")
    assert (given.headers["Content-Disposition"], given.headers["X-Content-Type-Options"]) == ("attachment", "nosniff")
    order = hospital.get("/fhir/ServiceRequest").json["entry"][0]["resource"]
    changed = hospital.put(f"/fhir/ServiceRequest/{order['id']}", json=order | {"priority": "stat"}, content_type="application/fhir+json")
    assert changed.status_code == 200
    assert north.get(f"{referral}/attachments/{attached['id']}").data == given.data  # it stays though it was not sent again
    for client, number in ((north, "02"), (north, "é"), (clinic("south"), attached["id"])):
        assert client.get(f"{referral}/attachments/{number}").status_code == 404


def test_a_document_that_is_only_pointed_to_is_not_fetched(hospital: FlaskClient, north: FlaskClient):
    text = json.dumps(sent("task")).replace('"data": "SW52ZW50ZWQgbGV0dGVyLg=="', '"url": "http://127.0.0.1:9/letter"')
    assert push(hospital, json.loads(text), "/fhir/Task").status_code == 201
    [found] = north.get(AT).json["referrals"]
    assert [one["id"] for one in found["record"]["referral"]["attachments"]] == ["01"]
    assert north.get(f"{AT}/{found['id']}/attachments/01").status_code == 404


def test_the_clinic_carries_a_referral_to_its_end_and_the_hospital_reads_each_step(
    referral: str, task: Callable[[], Any], north: FlaskClient
):
    steps = [
        ("accept", {}, "accepted"),
        ("schedule", {"sessions": ["S-1"]}, "in-progress"),
        ("complete", {"sessions": ["S-2"]}, "completed"),
    ]
    for number, (verb, said, told) in enumerate(steps, 2):
        answer = north.post(f"{referral}/{verb}", json=said)
        assert (answer.status_code, answer.json["version"]) == (202, number)
        assert (task()["status"], task()["meta"]["versionId"]) == (told, str(number))
    assert north.get(referral).json["record"]["referral"]["sessions"] == [{"id": "S-1"}, {"id": "S-2"}]
    assert [delivery["version"] for delivery in north.get(referral).json["deliveries"]] == [4]
    assert [found["status"] for found in north.get(f"{AT}?status=completed").json["referrals"]] == ["completed"]
    assert north.get(f"{AT}?status=received").json == {"referrals": []}


def test_a_declined_referral_tells_the_hospital_why(referral: str, task: Callable[[], Any], north: FlaskClient):
    assert north.post(f"{referral}/decline", json={"reason": "No chair is free before June."}).status_code == 202
    assert (task()["status"], task()["statusReason"]["text"]) == ("rejected", "No chair is free before June.")


def test_every_decision_is_audited_with_who_made_it(referral: str, north: FlaskClient, bridge: Bridge):
    north.post(f"{referral}/accept")
    with bridge.store.reading() as tx:
        told = [(entry.actor, entry.action) for entry in audit.of_subject(tx, "north", f"referral/{referral.rsplit('/', 1)[1]}")]
    assert told == [("north-hospital", "receive"), ("north-clinic", "accept-referral")]


def test_a_decision_made_twice_is_one(referral: str, north: FlaskClient):
    first, again = (north.post(f"{referral}/accept") for _ in range(2))
    assert (again.status_code, again.json) == (202, first.json)
    assert north.get(referral).json["version"] == 2


@pytest.mark.parametrize(("verb", "said"), [("schedule", {}), ("complete", {})])
def test_a_decision_that_is_not_its_turn_is_a_conflict(referral: str, north: FlaskClient, verb: str, said: Any):
    refused = north.post(f"{referral}/{verb}", json=said)
    assert (refused.status_code, refused.content_type) == (409, "application/problem+json")
    assert north.get(referral).json["version"] == 1


@pytest.mark.parametrize(
    ("verb", "said", "path"),
    [
        ("decline", {}, "reason"),
        ("decline", {"reason": 3}, "reason"),
        ("accept", {"reason": "why not"}, "reason"),
        ("accept", {"sessions": ["S-1"]}, "sessions"),
        ("accept", {"surprise": "Zebra"}, "surprise"),
        ("schedule", {"sessions": "S-1"}, "sessions"),
    ],
)
def test_a_decision_with_the_wrong_words_names_the_fault(referral: str, north: FlaskClient, verb: str, said: Any, path: str):
    refused = north.post(f"{referral}/{verb}", json=said)
    assert refused.status_code == 422
    assert [fault["path"] for fault in refused.json["faults"]] == [path]
    assert north.get(referral).json["version"] == 1


def test_a_changed_order_keeps_the_clinics_decision(referral: str, north: FlaskClient, hospital: FlaskClient):
    north.post(f"{referral}/accept")
    push(
        hospital,
        sent("task") | {"contained": [one | ({"priority": "stat"} if one["id"] == "order" else {}) for one in sent("task")["contained"]]},
        "/fhir/Task",
    )
    [found] = north.get(AT).json["referrals"]
    assert (found["version"], found["status"], found["record"]["referral"]["urgency"]) == (3, "accepted", "stat")


def test_the_inbox_is_read_page_by_page_without_gap_or_repetition(north: FlaskClient, hospital: FlaskClient):
    for number in range(5):
        order = sent("service-request")
        order["identifier"][0]["value"] = f"ORD-SYN-{number}"
        assert push(hospital, order).status_code == 201
    seen, page = [], north.get(f"{AT}?limit=2").json
    while True:
        seen += [one["record"]["referral"]["placer"]["value"] for one in page["referrals"]]
        if "next" not in page:
            break
        page = north.get(AT, query_string={"limit": "2", "cursor": page["next"]}).json
    assert sorted(seen) == [f"ORD-SYN-{number}" for number in range(5)]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=%C3%A4", "cursor=MjAyNi0wMS0wMSBS"])
def test_a_page_that_cannot_be_is_refused(north: FlaskClient, query: str):
    assert north.get(f"{AT}?{query}").status_code == 400


def test_an_unknown_status_is_refused(north: FlaskClient):
    assert north.get(f"{AT}?status=lost").status_code == 422


def test_another_sites_referral_is_not_found_and_not_decided(referral: str, clinic: SignIn, north: FlaskClient):
    south = clinic("south")
    assert south.get(AT).json == {"referrals": []}
    assert south.get(referral).status_code == south.post(f"{referral}/accept").status_code == 404
    assert north.get(referral).json["version"] == 1
    assert south.get(f"{AT}/%00").status_code == 404


def test_the_answers_are_as_described(referral: str, north: FlaskClient):
    description = north.get("/openapi.json").json
    for name, answer in (
        ("ReferralPage", north.get(AT).json),
        ("Progress", north.get(referral).json),
        ("Accepted", north.post(f"{referral}/accept").json),
    ):
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": description["components"]}, answer)
