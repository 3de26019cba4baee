"""The feed of changes over HTTP: in order, from a cursor, of one's own site only, and without anything of the patient."""

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from test_fhir_door import push, sent

SignIn = Callable[..., FlaskClient]
AT = "/api/v1/changes"


def whats(page: dict[str, Any]) -> list[tuple[str, str]]:
    return [(change["what"], change["by"]) for change in page["changes"]]


def test_what_the_hospital_sends_and_the_clinic_decides_is_told_in_order(clinic: SignIn, north: FlaskClient, session: dict[str, Any]):
    push(clinic(kind="hospital"), sent("task"), "/fhir/Task")
    [referral] = north.get("/api/v1/referrals").json["referrals"]
    north.post(f"/api/v1/referrals/{referral['id']}/accept")
    north.post("/api/v1/sessions", json=session)
    page = north.get(AT).json
    assert whats(page) == [
        ("referral.received", "north-hospital"),
        ("referral.accepted", "north-clinic"),
        ("session.changed", "north-clinic"),
    ]
    assert [change["version"] for change in page["changes"]] == [1, 2, 1]
    for change in page["changes"]:
        assert north.get(change["url"]).json["id"] == change["id"]


def test_a_reader_goes_on_from_its_cursor_and_an_empty_page_gives_it_back(north: FlaskClient, session: dict[str, Any]):
    for version in (1, 2, 3):
        north.post("/api/v1/sessions", json=session | {"version": version})
    first = north.get(f"{AT}?limit=2").json
    rest = north.get(f"{AT}?after={first['next']}&limit=2").json
    assert [change["version"] for change in first["changes"] + rest["changes"]] == [1, 2, 3]
    assert north.get(f"{AT}?after={rest['next']}").json == {"changes": [], "next": rest["next"]}


def test_nothing_of_the_patient_is_in_it(north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session)
    text = north.get(AT).text
    for secret in ("Testperson", "Zebra", "1980", "P-WEB-1"):
        assert secret not in text


def test_another_site_sees_nothing_of_it_and_a_hospital_is_not_let_in(clinic: SignIn, north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session)
    assert clinic("south").get(AT).json == {"changes": [], "next": 0}
    assert clinic(kind="hospital").get(AT).status_code == 401


@pytest.mark.parametrize(
    "query", ["after=2", "after=-1", "after=x", "after=", "after=1e3", "after=٣", f"after={'9' * 40}", "limit=0", "limit=1001"]
)
def test_a_cursor_that_is_none_of_ours_is_refused(north: FlaskClient, session: dict[str, Any], query: str):
    north.post("/api/v1/sessions", json=session)
    answer = north.get(f"{AT}?{query}")
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


def test_a_page_is_as_described(stranger: FlaskClient, north: FlaskClient, session: dict[str, Any]):
    north.post("/api/v1/sessions", json=session)
    components = stranger.get("/openapi.json").json["components"]
    page = north.get(AT).json
    jsonschema_rs.validate({"$ref": "#/components/schemas/ChangePage", "components": components}, page)
    page["changes"][0]["what"] = "session.exploded"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate({"$ref": "#/components/schemas/ChangePage", "components": components}, page)
