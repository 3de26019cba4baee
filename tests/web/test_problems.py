"""Every error, the framework's too, is problem+json with the headers that belong to it, and never tells what it must not."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import CapturingLogger

from fhir_bridge.web.requests_log import only_allowed


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", "/api/v1/sessions/a/b", "/docs/none.js", "/docs/../app.py"])
def test_an_unknown_address_is_a_problem(stranger: FlaskClient, path: str):
    found = stranger.get(path)
    assert found.status_code == 404
    assert found.content_type == "application/problem+json"
    assert found.json["status"] == 404
    assert found.json["request_id"] == found.headers["X-Request-Id"]


def test_a_wrong_method_is_told_the_right_ones(stranger: FlaskClient):
    found = stranger.delete("/api/v1/sessions")
    assert found.status_code == 405
    assert "POST" in found.headers["Allow"]
    assert found.content_type == "application/problem+json"


def test_what_nobody_foresaw_says_nothing_of_its_cause_and_logs_where_not_what(app: Flask, log: CapturingLogger):
    @app.get("/broken")
    def broken() -> None:
        raise ValueError("patient Zebra Testperson")

    found = app.test_client().get("/broken")
    assert found.status_code == 500
    assert b"Zebra" not in found.data
    lines = [call.kwargs for call in log.calls if call.method_name == "error"]
    assert [line["error"] for line in lines] == ["ValueError"]
    assert lines[0]["where"][-1].startswith("broken:")
    assert "Zebra" not in str(log.calls)


def test_a_request_id_is_echoed_when_it_is_a_plain_word_and_made_when_not(stranger: FlaskClient):
    assert stranger.get("/healthz", headers={"X-Request-Id": "clinic-7.a"}).headers["X-Request-Id"] == "clinic-7.a"
    made = {stranger.get("/healthz", headers={"X-Request-Id": "Zebra Testperson"}).headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2
    assert not any("Zebra" in request_id for request_id in made)


def test_the_log_tells_the_route_and_never_the_address_or_the_body(north: FlaskClient, session: dict[str, Any], log: CapturingLogger):
    north.post("/api/v1/sessions?patient=Zebra", json=session)
    north.get("/api/v1/sessions/S-WEB-1?patient=Zebra")
    lines = [call.kwargs for call in log.calls]
    assert [line["route"] for line in lines] == ["/api/v1/sessions", "/api/v1/sessions/<string:record_id>"]
    assert [line["status"] for line in lines] == [202, 200]
    assert [line["client"] for line in lines] == ["north clinic"] * 2
    assert not any(secret in str(log.calls) for secret in ("Zebra", "Testperson", "S-WEB-1", "P-WEB-1", "Bearer", "fhirbridge_"))


def test_a_name_nobody_allowed_is_not_written():
    assert only_allowed(None, "info", {"event": "request", "patient": "Zebra"}) == {"event": "request"}


def test_replies_may_not_be_cached_sniffed_or_framed(stranger: FlaskClient):
    headers = stranger.get("/healthz").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
