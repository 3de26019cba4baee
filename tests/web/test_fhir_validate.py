"""`$validate`: whether a referral would be taken, with every reason, and nothing is stored."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent, stored
from test_fhir_door_refusals import REFUSED

from fhir_bridge.fhir import check
from fhir_bridge.store.referral_tables import referrals_raw
from fhir_bridge.sync.bridge import Bridge

SignIn = Callable[..., FlaskClient]
SHAPES = {"service-request": "ServiceRequest", "task": "Task", "transaction": "Bundle", "message": "Bundle"}


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def told(hospital: FlaskClient, kind: str, document: Any) -> list[dict[str, Any]]:
    answer = push(hospital, document, f"/fhir/{kind}/$validate")
    assert answer.status_code == 200, answer.data
    assert check.faults(answer.json) == []
    found: list[dict[str, Any]] = answer.json["issue"]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_what_would_be_taken_is_told_and_not_stored(hospital: FlaskClient, bridge: Bridge, shape: str):
    assert [issue["severity"] for issue in told(hospital, SHAPES[shape], sent(shape))] == ["information"]
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": sent(shape)}]}
    assert [issue["severity"] for issue in told(hospital, SHAPES[shape], wrapped)] == ["information"]
    assert stored(bridge) == []


def test_a_patient_alone_is_told_what_an_order_of_its_needs(hospital: FlaskClient, bridge: Bridge):
    [patient] = [one for one in sent("service-request")["contained"] if one["resourceType"] == "Patient"]
    assert [issue["severity"] for issue in told(hospital, "Patient", patient)] == ["information"]
    del patient["birthDate"]
    assert [issue["expression"] for issue in told(hospital, "Patient", patient)] == [["Patient.birthDate"]]
    assert [issue["expression"] for issue in told(hospital, "Patient", patient | {"gender": "both"})] == [["Patient.gender"]]
    assert {issue["severity"] for issue in told(hospital, "Patient", sent("task"))} == {"error"}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_refused_is_told_by_its_element_and_not_kept(hospital: FlaskClient, bridge: Bridge, name: str):
    document, element = REFUSED[name]
    assert [(issue["severity"], issue["expression"]) for issue in told(hospital, "ServiceRequest", document)] == [("error", [element])]
    with bridge.store.reading() as tx:
        assert tx.rows(referrals_raw.select()) == []


@pytest.mark.parametrize(
    "document", [{}, {"resourceType": "Parameters"}, {"resourceType": "Parameters", "parameter": [1, {"name": "resource"}]}]
)
def test_what_is_no_resource_is_told_too(hospital: FlaskClient, document: Any):
    assert {issue["severity"] for issue in told(hospital, "Bundle", document)} == {"error"}
