"""The clinic's door, on a real database: what is accepted is stored once, and what is not leaves nothing behind."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import CapturingLogger

from fhir_bridge.store import clients
from fhir_bridge.store.database import Unavailable
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app

SignIn = Callable[..., FlaskClient]


def test_a_posted_session_is_accepted_and_can_be_asked_for_where_the_answer_says(north: FlaskClient, session: dict[str, Any]):
    accepted = north.post("/api/v1/sessions", json=session)
    assert accepted.status_code == 202
    assert accepted.json["id"] == "S-WEB-1"
    assert accepted.json["version"] == 1
    assert accepted.headers["Location"] == accepted.json["url"]
    shown = north.get(accepted.headers["Location"])
    assert shown.status_code == 200
    assert shown.json["record"]["patient"]["id"] == "P-WEB-1"
    assert [delivery["hospital"] for delivery in shown.json["deliveries"]] == ["general"]


def test_numbers_keep_their_digits_from_the_door_to_the_reply(north: FlaskClient, session: dict[str, Any]):
    body = json.dumps(session).replace('"heart_rate": 72', '"temperature": 36.80')
    assert "36.80" in body
    north.post("/api/v1/sessions", data=body, content_type="application/json")
    assert b'"temperature":36.80' in north.get("/api/v1/sessions/S-WEB-1").data


def test_the_same_key_and_body_gets_the_first_answer_again(north: FlaskClient, session: dict[str, Any]):
    first = north.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": "once"})
    again = north.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.data) == (first.status_code, first.data) == (202, first.data)
    assert len(north.get("/api/v1/sessions/S-WEB-1").json["deliveries"]) == 1


def test_the_same_key_with_another_body_is_refused(north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": "once"})
    other = north.post("/api/v1/sessions", json=session | {"id": "S-WEB-2"}, headers={"Idempotency-Key": "once"})
    assert other.status_code == 422
    assert north.get("/api/v1/sessions/S-WEB-2").status_code == 404


def test_a_version_is_never_replaced_by_another_content(north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session)
    session["readings"][0]["heart_rate"] = 73
    refused = north.post("/api/v1/sessions", json=session)
    assert refused.status_code == 409
    assert "higher version" in refused.json["detail"]


def test_a_refused_document_names_every_fault_and_leaves_nothing(north: FlaskClient, session: dict[str, Any]):
    session["readings"][0]["heart_rate"] = "72"
    session["surprise"] = "Zebra"
    refused = north.post("/api/v1/sessions", json=session)
    assert refused.status_code == 422
    assert refused.content_type == "application/problem+json"
    assert {fault["path"] for fault in refused.json["faults"]} == {"readings[0].heart_rate", "surprise"}
    assert b"Zebra" not in refused.data
    assert north.get("/api/v1/sessions/S-WEB-1").status_code == 404


def test_another_site_cannot_tell_that_a_session_exists(clinic: SignIn, north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session)
    south = clinic("south")
    unknown, foreign = south.get("/api/v1/sessions/S-NOWHERE"), south.get("/api/v1/sessions/S-WEB-1")
    assert (foreign.status_code, foreign.json["detail"]) == (unknown.status_code, unknown.json["detail"]) == (404, unknown.json["detail"])


@pytest.mark.parametrize("address", ["%00", "%ed%a0%80", "a%27b", "x" * 41])
def test_what_no_session_can_be_called_is_not_found(north: FlaskClient, address: str):
    assert north.get(f"/api/v1/sessions/{address}").status_code == 404


def test_the_same_id_at_two_sites_is_two_sessions(clinic: SignIn, north: FlaskClient, session: dict[str, Any]):
    south = clinic("south")
    assert north.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": "k"}).status_code == 202
    session["readings"][0]["heart_rate"] = 73
    assert south.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": "k"}).status_code == 202
    assert north.get("/api/v1/sessions/S-WEB-1").json["record"]["readings"][0]["heart_rate"] == 72


@pytest.mark.parametrize("key", ["", "x" * 256, "täst", "a\tb"])
def test_an_idempotency_key_must_be_plain(north: FlaskClient, session: dict[str, Any], key: str):
    refused = north.post("/api/v1/sessions", json=session, headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.json["detail"]


@pytest.mark.parametrize(
    "credentials",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}, {"X-API-Key": "wrong"}],
    ids=lambda headers: " ".join(headers.values()) or "none",
)
def test_without_a_key_nothing_is_read(stranger: FlaskClient, credentials: dict[str, str]):
    class Unreadable(io.BytesIO):
        def readinto(self, *_: Any) -> int:
            raise AssertionError("the body was read before the key was checked")

        read = readinto

    refused = stranger.post(
        "/api/v1/sessions", input_stream=Unreadable(), content_length=9, content_type="application/json", headers=credentials
    )
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.content_type == "application/problem+json"


def test_a_revoked_key_and_a_key_of_another_kind_open_nothing(clinic: SignIn, bridge: Bridge):
    revoked, hospital = clinic(), clinic(kind="hospital")
    assert revoked.get("/api/v1/sessions/S-1").status_code == 404
    with bridge.store.transaction() as tx:
        assert clients.revoke(tx, tenant="north", id="north-clinic", now=tx.now)
    assert revoked.get("/api/v1/sessions/S-1").status_code == 401
    assert hospital.get("/api/v1/sessions/S-1").status_code == 401


def test_a_key_may_also_come_as_x_api_key(clinic: SignIn, bridge: Bridge):
    signed_in = clinic()
    key = signed_in.environ_base.pop("HTTP_AUTHORIZATION").removeprefix("Bearer ")
    assert signed_in.get("/api/v1/sessions/S-1", headers={"X-API-Key": key}).status_code == 404


def test_a_busy_database_is_a_503_that_says_when_to_come_back(north: FlaskClient, bridge: Bridge, log: CapturingLogger):
    class Busy:
        def reading(self) -> None:
            raise Unavailable("every connection is in use; try again")

    stranger = create_app(replace(bridge, store=Busy()), log=log).test_client()
    refused = stranger.post("/api/v1/sessions", data=b"{}", content_type="application/json", headers={"X-API-Key": "any"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert [call.kwargs["error"] for call in log.calls if call.method_name == "error"] == ["Unavailable"]
