"""A session goes in at the clinic's door, reaches the hospital once, and comes back the same."""

from typing import Any

import pytest
from ward import CASES, Clock, Ward, post, state, work

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.sync import convert, status
from fhir_bridge.sync.bridge import Bridge

FILES = [path for path in sorted(CASES.glob("*/session-*.json")) if not path.name.endswith(".fhir.json")]


@pytest.mark.parametrize("file", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_the_hospital_holds_maps_back_to_what_was_posted(bridge: Bridge, hospital: Ward, file: Any) -> None:
    session = documents.loads(file.read_bytes())
    post(bridge, session)
    assert work(bridge) == 1
    delivery = state(bridge, session)
    assert delivery["state"] == "delivered", documents.pretty({name: delivery.get(name) for name in ("reason", "card", "attempts")})
    held = [_read(hospital, sent["theirs"]) for sent in delivery["resources"]]
    back = convert.map_back(bridge.sites["default"].mapping, held)
    assert documents.canonical(back.record) == documents.canonical(records.load("session", session))
    assert (back.residue, back.conflicts) == ((), ())


def test_everything_sent_is_told_with_its_id_its_version_and_that_it_was_kept(bridge: Bridge, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    resources = state(bridge, session)["resources"]
    assert len(resources) > 30
    assert all(sent["theirs"] and sent["version"] == "1" and sent["kept"]["whole"] for sent in resources)


def test_a_session_posted_twice_is_held_once(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    assert post(bridge, session) == post(bridge, session)
    work(bridge)
    post(bridge, session)
    assert work(bridge) == 0
    assert hospital.versions("Encounter") == [1]


def test_a_corrected_session_changes_what_is_there_and_writes_nothing_else(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    clock.pass_(minutes=1)
    reading = session["readings"][0] | {"heart_rate": 71}
    changed = session | {
        "version": 2,
        "correction": {"reason": "misread", "at": "2026-03-03T08:00:00-05:00"},
        "readings": [reading, *session["readings"][1:]],
    }
    post(bridge, changed)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert hospital.versions("Observation").count(2) == 1
    assert hospital.versions("Patient") == [1]
    assert hospital.versions("Encounter") == [2]


def test_a_newer_version_takes_the_place_of_one_that_was_not_sent(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    post(bridge, session | {"version": 2, "correction": {"reason": "misread", "at": "2026-03-03T08:00:00-05:00"}})
    work(bridge)
    assert hospital.versions("Encounter") == [1]
    assert state(bridge, session)["version"] == 2


def test_two_sessions_of_one_patient_share_the_patient(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    second = documents.loads(documents.dumps(session).replace(b'"S-MCV-1"', b'"S-MCV-2"'))
    second.pop("follow_up", None)
    post(bridge, session)
    post(bridge, second)
    work(bridge)
    assert hospital.versions("Patient") == [1]
    assert len(hospital.held("Encounter")) == 2


def test_without_a_hospital_what_was_accepted_is_kept_and_said_so(bridge: Bridge, session: dict[str, Any]) -> None:
    overview = status.overview(bridge)
    assert [(row["hospital"], row["open"]) for row in overview["hospitals"]] == [("general", {})]
    post(bridge, session)
    assert status.overview(bridge)["hospitals"][0]["open"] == {"pending": 1}


def _read(hospital: Ward, reference: str) -> dict[str, Any]:
    kind, _, identity = reference.partition("/")
    (found,) = [document for document in hospital.held(kind) if document["id"] == identity]
    return found
