"""The description is true: it is valid, its references lead somewhere, it names every route, and its page needs no other host."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask
from flask.testing import FlaskClient

from fhir_bridge.clinic import records


@pytest.fixture
def description(stranger: FlaskClient) -> dict[str, Any]:
    found: dict[str, Any] = stranger.get("/openapi.json").json
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref" and isinstance(value, str))
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_it_is_openapi_3_1_and_its_references_lead_somewhere(description: dict[str, Any]):
    assert description["openapi"] == "3.1.0"
    found = set(_references(description))
    assert "#/components/schemas/session" in found
    schemas = description["components"]["schemas"]
    assert found <= {f"#/components/schemas/{name}" for name in schemas} | {
        f"#/components/responses/{n}" for n in description["components"]["responses"]
    }


def test_its_schemas_are_the_clinics_own_and_valid(description: dict[str, Any], session: dict[str, Any]):
    schemas = description["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)
    assert schemas["session"]["properties"].keys() == records.json_schema("session")["properties"].keys()
    assert jsonschema_rs.is_valid(schemas["session"], session)


def test_the_answers_are_as_described(description: dict[str, Any], north: FlaskClient, session: dict[str, Any]):
    def fits(name: str, answer: Any) -> None:
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": description["components"]}, answer)

    fits("Accepted", north.post("/api/v1/sessions", json=session).json)
    fits("Progress", north.get("/api/v1/sessions/S-WEB-1").json)
    fits("Problem", north.post("/api/v1/sessions", json=session | {"readings": []}).json)
    with pytest.raises(jsonschema_rs.ValidationError):
        fits("Progress", {"id": "S-WEB-1"})


def test_every_route_of_the_clinic_is_described(app: Flask, description: dict[str, Any]):
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == {(path, method) for path, item in description["paths"].items() for method in item if method != "parameters"}


def test_every_answer_it_promises_to_an_error_is_a_problem(description: dict[str, Any]):
    operations = [item[method] for item in description["paths"].values() for method in item if method != "parameters"]
    errors = {code: answer for operation in operations for code, answer in operation["responses"].items() if code[0] in "45"}
    assert {"400", "401", "404", "409", "413", "415", "422", "503"} <= errors.keys()
    assert all(list(answer["content"]) == ["application/problem+json"] for answer in errors.values())


def test_the_page_loads_everything_from_here(stranger: FlaskClient):
    page = stranger.get("/docs", buffered=True)
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert all(address.startswith("/") for address in loaded)
    assert {address: stranger.get(address, buffered=True).status_code for address in loaded} == dict.fromkeys(loaded, 200)
    assert "validatorUrl: null" in stranger.get("/docs/start.js", buffered=True).text
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"].split("style-src")[0]


def test_the_page_answers_with_and_without_a_slash_at_its_end(stranger: FlaskClient):
    pages = [stranger.get(address, buffered=True) for address in ("/docs", "/docs/")]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].data == pages[1].data
