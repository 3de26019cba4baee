"""Schemathesis over the clinic's API: requests made from its own description, right ones and wrong ones; none fails the bridge.

Every answer is as the description says: its status, its media type, its body.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from test_fhir_door import push, sent

EXAMPLES = 15  # of each route, right and wrong
APPOINTMENT = Path(__file__).parents[2] / "fixtures/cases/monitored-clinic-visit/appointment-1.json"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def known(north: FlaskClient, clinic: Callable[..., FlaskClient], session: dict[str, Any]) -> dict[str, str]:
    """A record of each kind that is there, by how its address begins."""
    assert north.post("/api/v1/sessions", json=session).status_code == 202
    appointment = json.loads(APPOINTMENT.read_text())
    moved = north.post("/api/v1/appointments", json=appointment)
    push(clinic(kind="hospital"), sent("service-request"))
    [referral] = north.get("/api/v1/referrals").json["referrals"]
    return {"/api/v1/sessions": session["id"], "/api/v1/appointments": moved.json["id"], "/api/v1/referrals": referral["id"]}


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_made_from_the_description_fails_the_bridge(north: FlaskClient, known: dict[str, str], mode: GenerationMode):
    key = {"Authorization": north.environ_base["HTTP_AUTHORIZATION"]}
    described = schemathesis.openapi.from_wsgi("/openapi.json", north.application)
    statuses: set[int] = set()
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
        def tried(case: Any, there: bool) -> None:
            if there and case.path_parameters:
                case.path_parameters = dict.fromkeys(case.path_parameters, known["/".join(case.path.split("/")[:4])])
            answer = case.call(headers=key)
            case.validate_response(answer, checks=CHECKS, headers=key)
            statuses.add(answer.status_code)

        tried()
    assert statuses >= {200, 400, 404, 422}, "requests of every kind were made"
