"""Conditional creates, media types and preferences at the hospital's door: R4's http page, as clients use it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent, stored
from test_fhir_door_refusals import assert_outcome

from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]
NUMBER = "identifier=urn:oid:2.999.1.7|ORD-SYN-90001"


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def numbered(number: str) -> dict[str, Any]:
    order = sent("service-request")
    order["identifier"][0]["value"] = number
    return order


def test_a_conditional_create_makes_what_is_not_there_and_gives_what_is(hospital: FlaskClient, bridge: Bridge):
    first = push(hospital, sent("service-request"), **{"If-None-Exist": NUMBER})
    assert (first.status_code, first.headers["ETag"]) == (201, 'W/"1"')
    again = push(hospital, sent("service-request") | {"priority": "stat"}, **{"If-None-Exist": NUMBER})
    assert (again.status_code, again.json, again.headers["Location"]) == (200, first.json, first.headers["Location"])
    assert [one["referral"]["urgency"] for one in stored(bridge)] == ["urgent"]


def test_a_conditional_create_that_finds_several_creates_nothing(hospital: FlaskClient, bridge: Bridge):
    for number in ("1", "2"):
        push(hospital, numbered(number))
    assert_outcome(push(hospital, numbered("3"), **{"If-None-Exist": "status=active"}), 412, "multiple-matches")
    assert len(stored(bridge)) == 2


@pytest.mark.parametrize("condition", ["colour=blue", "identifier:of-type=1", "_count=1", "identifier=a|b|c", "status"])
def test_a_condition_that_is_not_understood_is_refused(hospital: FlaskClient, bridge: Bridge, condition: str):
    assert push(hospital, numbered("1"), **{"If-None-Exist": condition}).status_code == 400
    assert stored(bridge) == []


def test_an_entry_of_a_transaction_may_be_conditional(hospital: FlaskClient, bridge: Bridge):
    document = sent("transaction")
    document["entry"][-1]["request"]["ifNoneExist"] = NUMBER
    first = push(hospital, document, "/fhir")
    changed = copy.deepcopy(document)
    changed["entry"][-1]["resource"]["priority"] = "stat"
    again = push(hospital, changed, "/fhir")
    assert [one.json["entry"][-1]["response"]["status"] for one in (first, again)] == ["201 Created", "200 OK"]
    assert [one["referral"]["urgency"] for one in stored(bridge)] == ["urgent"]


@pytest.mark.parametrize("media_type", ["application/fhir+json", "application/json", "text/json", "application/fhir+json; fhirVersion=4.0"])
def test_the_labels_of_json_are_taken(hospital: FlaskClient, media_type: str):
    assert hospital.post("/fhir/ServiceRequest", json=sent("service-request"), content_type=media_type).status_code == 201


@pytest.mark.parametrize("media_type", ["application/fhir+xml", "application/xml", "application/json-patch+json", "text/plain", ""])
def test_other_labels_are_refused(hospital: FlaskClient, media_type: str):
    assert_outcome(hospital.post("/fhir/ServiceRequest", data=b"{}", content_type=media_type), 415, "not-supported")


def test_an_answer_can_be_laid_out_for_people(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    assert b'\n  "resourceType"' in hospital.get("/fhir/ServiceRequest?_pretty=true").data
    assert b"\n" not in hospital.get("/fhir/ServiceRequest").data


@pytest.mark.parametrize("asked", ["urn:uuid:6d0a2f6e-1f3c-4f38-9a1c-9b1b7a3a0c11", "plain-1"])
def test_an_id_of_visible_characters_comes_back_with_every_answer(hospital: FlaskClient, asked: str):
    for answer in (
        push(hospital, sent("service-request"), **{"X-Request-ID": asked}),
        hospital.get("/fhir/ServiceRequest/unknown", headers={"X-Request-ID": asked}),
        hospital.get("/fhir/nowhere", headers={"X-Request-ID": asked}),
        hospital.delete("/fhir/Task", headers={"X-Request-ID": asked}),
    ):
        assert answer.headers.get_all("X-Request-ID") == [asked]
    assert hospital.get("/fhir/nowhere", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"
