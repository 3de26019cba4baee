"""Appointments on their own: posted, read, changed in part; every change is a version, and nobody's is lost."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_bridge.sync.amend import merged

CASE = Path(__file__).parents[2] / "fixtures/cases/monitored-clinic-visit/appointment-1.json"
AT = "/api/v1/appointments"


@pytest.fixture
def appointment() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CASE.read_text())
    return copy.deepcopy(found)


def test_a_posted_appointment_is_accepted_and_can_be_asked_for(north: FlaskClient, appointment: dict[str, Any]):
    accepted = north.post(AT, json=appointment)
    assert (accepted.status_code, accepted.headers["Location"]) == (202, f"{AT}/A-MCV-1")
    shown = north.get(accepted.headers["Location"])
    assert shown.json["record"] == appointment
    assert [delivery["hospital"] for delivery in shown.json["deliveries"]] == ["general"]


def test_a_patch_makes_the_next_version_of_the_whole_record(north: FlaskClient, appointment: dict[str, Any]):
    north.post(AT, json=appointment)
    patched = north.patch(f"{AT}/A-MCV-1", json={"follow_up": {"status": "cancelled", "reason": "patient"}})
    assert (patched.status_code, patched.json["version"]) == (202, 2)
    shown = north.get(f"{AT}/A-MCV-1").json["record"]
    assert shown == appointment | {"follow_up": appointment["follow_up"] | {"version": 2, "status": "cancelled", "reason": "patient"}}


def test_null_removes_and_merge_patch_is_its_own_media_type(north: FlaskClient, appointment: dict[str, Any]):
    north.post(AT, json=appointment)
    body = json.dumps({"follow_up": {"minutes": None}})
    assert north.patch(f"{AT}/A-MCV-1", data=body, content_type="application/merge-patch+json").status_code == 202
    assert "minutes" not in north.get(f"{AT}/A-MCV-1").json["record"]["follow_up"]


def test_a_patch_that_changes_nothing_makes_no_version(north: FlaskClient, appointment: dict[str, Any]):
    north.post(AT, json=appointment)
    assert north.patch(f"{AT}/A-MCV-1", json={"follow_up": {"minutes": 30}}).json["version"] == 1


def test_a_repeated_patch_with_its_key_is_made_once(north: FlaskClient, appointment: dict[str, Any]):
    north.post(AT, json=appointment)
    change = {"follow_up": {"minutes": 45}}
    first, again = (north.patch(f"{AT}/A-MCV-1", json=change, headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert (again.status_code, again.data) == (202, first.data)
    assert north.get(f"{AT}/A-MCV-1").json["version"] == 2


def test_who_names_a_version_that_somebody_else_took_is_told(north: FlaskClient, appointment: dict[str, Any]):
    north.post(AT, json=appointment)
    north.patch(f"{AT}/A-MCV-1", json={"follow_up": {"minutes": 45}})
    late = north.patch(f"{AT}/A-MCV-1", json={"follow_up": {"minutes": 60, "version": 2}})
    assert (late.status_code, late.content_type) == (409, "application/problem+json")
    assert north.get(f"{AT}/A-MCV-1").json["record"]["follow_up"]["minutes"] == 45


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"follow_up": {"id": "A-OTHER"}}, "follow_up.id"),
        ({"follow_up": {"status": "lost"}}, "follow_up.status"),
        ({"follow_up": None}, "follow_up"),
        ({"follow_up": 3}, "follow_up"),
        ({"surprise": "Zebra"}, "surprise"),
    ],
)
def test_a_refused_patch_names_the_fault_and_changes_nothing(north: FlaskClient, appointment: dict[str, Any], patch: Any, path: str):
    north.post(AT, json=appointment)
    refused = north.patch(f"{AT}/A-MCV-1", json=patch)
    assert refused.status_code == 422
    assert path in [fault["path"] for fault in refused.json["faults"]]
    assert b"Zebra" not in refused.data
    assert north.get(f"{AT}/A-MCV-1").json["version"] == 1


def test_another_sites_appointment_is_not_found_and_not_changed(
    clinic: Callable[..., FlaskClient], north: FlaskClient, appointment: dict[str, Any]
):
    north.post(AT, json=appointment)
    south = clinic("south")
    assert south.get(f"{AT}/A-MCV-1").status_code == 404
    assert south.patch(f"{AT}/A-MCV-1", json={"follow_up": {"minutes": 45}}).status_code == 404
    assert north.get(f"{AT}/A-MCV-1").json["version"] == 1


def test_without_a_key_nothing_is_read(stranger: FlaskClient):
    assert [stranger.post(AT, data=b"{").status_code, stranger.patch(f"{AT}/A", data=b"{").status_code] == [401, 401]


def test_a_merge_leaves_both_sides_as_they_were():
    before, patch = {"a": {"b": 1}}, {"a": {"c": [1]}, "d": {"e": None}}
    assert merged(before, patch) == {"a": {"b": 1, "c": [1]}, "d": {}}
    assert (before, patch) == ({"a": {"b": 1}}, {"a": {"c": [1]}, "d": {"e": None}})
