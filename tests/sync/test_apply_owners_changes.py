"""What a hospital changes of its own reaches the clinic's record as its next version, and nothing of it is sent back there."""

from typing import Any

from hand import change, open_conflicts, pulled, record, told
from ward import Ward, post, state, work

from fhir_bridge.sync.bridge import Bridge

MOVED = {"start": "2026-04-14T15:00:00Z", "end": "2026-04-14T15:30:00Z"}


def follow_up_of(ward: Ward) -> str:
    (found,) = [one["id"] for one in ward.held("Appointment") if "FOLLOWUP" in str(one.get("appointmentType"))]
    return str(found)


def test_what_we_wrote_ourselves_comes_back_as_an_echo(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    counts = pulled(bridge, hospital)
    assert set(counts) == {"echo"}
    assert record(bridge, "session", session["id"])["version"] == 1


def test_a_follow_up_moved_then_missed_at_the_hospital_is_two_versions_of_the_clinics_record(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    appointment = follow_up_of(hospital)
    change(hospital, "Appointment", lambda one: one.update(MOVED), id=appointment)
    assert pulled(bridge, hospital)["applied"] == 1
    moved = record(bridge, "session", session["id"])
    assert (moved["version"], moved["follow_up"]["start"], moved["follow_up"]["status"]) == (2, MOVED["start"], "booked")
    change(hospital, "Appointment", lambda one: one.update(status="noshow"), id=appointment)
    assert pulled(bridge, hospital)["applied"] == 1
    missed = record(bridge, "session", session["id"])
    assert (missed["version"], missed["follow_up"]["start"], missed["follow_up"]["status"]) == (3, MOVED["start"], "no-show")
    by = [(actor, detail["version"]) for actor, action, detail in told(bridge, f"session/{session['id']}") if action == "pull"]
    assert by == [("hospital:general", 2), ("hospital:general", 3)]
    assert open_conflicts(bridge) == []


def test_at_the_hospital_it_came_from_nothing_of_the_change_is_left_to_send(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    appointment = follow_up_of(hospital)
    change(hospital, "Appointment", lambda one: one.update(MOVED), id=appointment)
    pulled(bridge, hospital)
    held = next(one for one in hospital.held("Appointment") if one["id"] == appointment)
    work(bridge)
    assert next(one for one in hospital.held("Appointment") if one["id"] == appointment) == held
    counts = pulled(bridge, hospital)
    assert set(counts) == {"echo"}
    assert record(bridge, "session", session["id"])["version"] == 2


def test_a_patients_new_name_is_a_version_of_the_record_that_spoke_last(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    later = session | {"id": "S-MCV-LATER", "follow_up": session["follow_up"] | {"id": "F-LATER"}}
    post(bridge, later)
    work(bridge)
    change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
    assert pulled(bridge, hospital)["applied"] == 1
    assert record(bridge, "session", "S-MCV-LATER")["patient"]["family_name"] == "Synthetic-Married"
    assert record(bridge, "session", session["id"])["patient"]["family_name"] == session["patient"]["family_name"]
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert hospital.held("Patient")[0]["name"][0]["family"] == "Synthetic-Married"


def test_what_the_hospital_adds_for_itself_is_no_change(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    change(hospital, "Patient", lambda one: one.update(extension=[{"url": "https://ehr.hospital.example/flag", "valueString": "seen"}]))
    assert pulled(bridge, hospital)["decorated"] == 1
    assert pulled(bridge, hospital)["decorated"] == 0
    assert record(bridge, "session", session["id"])["version"] == 1
    assert hospital.held("Patient")[0]["extension"]
