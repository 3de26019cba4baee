"""Whose patient it is, over HTTP and from the command line: candidates side by side, a person's word, what cannot be said refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent

from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]
AT = "/api/v1/referrals"


@pytest.fixture
def undecided(clinic: SignIn, north: FlaskClient, session: dict[str, Any]) -> str:
    """The address of a referral of somebody who may be the clinic's patient P-WEB-1: same birth date and name, no number."""
    told = {"family_name": "Synthetic-Rowan", "given_names": ["Testadora"], "birth_date": "1988-12-12"}
    assert north.post("/api/v1/sessions", json=session | {"patient": session["patient"] | told}).status_code == 202
    assert push(clinic(kind="hospital"), sent("service-request")).status_code == 201
    [found] = north.get(f"{AT}?match=open").json["referrals"]
    return f"{AT}/{found['id']}"


def test_the_candidates_stand_beside_what_the_hospital_told(undecided: str, north: FlaskClient):
    match = north.get(undecided).json["match"]
    assert (match["verdict"], match["told"]["birth_date"]) == ("open", "1988-12-12")
    [candidate] = match["candidates"]
    assert (candidate["patient"], candidate["known"]["sex"], candidate["differs"]) == ("P-WEB-1", "female", [])
    assert candidate["agrees"] == ["birth_date", "family_name", "given_names"]


def test_a_person_joins_it_and_it_goes_to_the_hospital(undecided: str, north: FlaskClient):
    assert north.get(undecided).json["deliveries"] == []
    answer = north.post(f"{undecided}/match", json={"patient": "P-WEB-1"})
    assert (answer.status_code, answer.json["version"]) == (202, 2)
    found = north.get(undecided).json
    assert (found["match"]["verdict"], found["record"]["patient"]["id"]) == ("joined", "P-WEB-1")
    assert [delivery["version"] for delivery in found["deliveries"]] == [2]
    assert north.get(f"{AT}?match=open").json == {"referrals": []}


def test_it_cannot_be_scheduled_before(undecided: str, north: FlaskClient):
    assert north.post(f"{undecided}/accept").status_code == 202
    refused = north.post(f"{undecided}/schedule")
    assert (refused.status_code, "match" in refused.json["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({}, "patient"),
        ({"patient": 3}, "patient"),
        ({"patient": "P 1/é"}, "patient"),
        ({"patient": "P-404"}, "patient"),
        ({"new": "yes"}, "new"),
        ({"who": "Zebra"}, "who"),
    ],
)
def test_a_word_that_fits_nobody_names_the_fault(undecided: str, north: FlaskClient, said: Any, path: str):
    refused = north.post(f"{undecided}/match", json=said)
    assert (refused.status_code, [fault["path"] for fault in refused.json["faults"]]) == (422, [path])
    assert north.get(undecided).json["match"]["verdict"] == "open"


def test_another_site_has_no_say(undecided: str, clinic: SignIn):
    south = clinic("south")
    assert south.post(f"{undecided}/match", json={"new": True}).status_code == 404
    assert south.get(f"{AT}?match=open").json == {"referrals": []}


def test_only_open_ones_can_be_asked_for(north: FlaskClient):
    assert north.get(f"{AT}?match=closed").status_code == 422


def test_the_answers_are_as_described(undecided: str, north: FlaskClient):
    description = north.get("/openapi.json").json
    for name, answer in (("ReferralPage", north.get(AT).json), ("Accepted", north.post(f"{undecided}/match", json={"new": True}).json)):
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": description["components"]}, answer)


@pytest.mark.parametrize("verb", ["hold", "cancel", "fail"])
def test_the_clinic_may_stop_it_and_the_hospital_reads_why(clinic: SignIn, north: FlaskClient, verb: str):
    hospital = clinic(kind="hospital")
    task = push(hospital, sent("task"), "/fhir/Task").json["id"]
    at = f"{AT}/{north.get(AT).json['referrals'][0]['id']}"
    north.post(f"{at}/accept")
    assert north.post(f"{at}/{verb}").status_code == 422
    assert north.post(f"{at}/{verb}", json={"reason": "The infusion room is closed."}).status_code == 202
    told = hospital.get(f"/fhir/Task/{task}").json
    assert told["statusReason"]["text"] == "The infusion room is closed."
    assert told["status"] == {"hold": "on-hold", "cancel": "cancelled", "fail": "failed"}[verb]
    assert north.post(f"{at}/accept").status_code == (202 if verb == "hold" else 409)


def test_what_is_stuck_can_be_asked_for(undecided: str, north: FlaskClient, bridge: Bridge):
    assert north.get(f"{AT}?orphan=true").json == {"referrals": []}
    bridge.store._clock = lambda: datetime.now(UTC) + timedelta(days=2)
    [found] = north.get(f"{AT}?orphan=true").json["referrals"]
    assert (found["orphan"]["stuck"], found["orphan"]["who"]) == ("undecided", "clinic")
    description = north.get("/openapi.json").json
    schema = {"$ref": "#/components/schemas/ReferralPage", "components": description["components"]}
    jsonschema_rs.validate(schema, north.get(f"{AT}?orphan=true").json)
    assert north.get(f"{AT}?orphan=maybe").status_code == 422
