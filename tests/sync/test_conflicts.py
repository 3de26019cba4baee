"""A field that is not the hospital's, or that both changed: both values for a person, nothing overwritten, and the decision carried out."""

from typing import Any

import pytest
from hand import change, delete, open_conflicts, pulled, record, told
from ward import Ward, post, state, work

from fhir_bridge.errors import Refused
from fhir_bridge.sync import conflicts
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.conflicts import Decided, Which

Session = dict[str, Any]


@pytest.fixture
def sent(bridge: Bridge, session: Session) -> Session:
    """A session that the hospital has."""
    post(bridge, session)
    work(bridge)
    return session


def heart_rates(ward: Ward) -> list[Session]:
    found = [one for one in ward.held("Observation") if one["code"]["coding"][0]["code"] == "8867-4" and "valueQuantity" in one]
    return sorted(found, key=lambda one: str(one["effectiveDateTime"]))


def set_heart_rate(ward: Ward, to: int) -> str:
    """The hospital changes the first heart rate; its id there."""
    id = str(heart_rates(ward)[0]["id"])
    change(ward, "Observation", lambda one: one["valueQuantity"].update(value=to), id=id)
    return id


def next_version(session: Session, **changed: Any) -> Session:
    return session | {"version": session.get("version", 1) + 1} | changed


def test_a_change_of_the_clinics_field_is_kept_with_both_values_and_not_applied(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    set_heart_rate(hospital, 199)
    assert pulled(bridge, hospital)["conflict"] == 1
    (found,) = open_conflicts(bridge)
    shown = conflicts.shown(bridge, "default", found.id)
    assert shown is not None
    assert (shown["ours"], shown["theirs"]) == (sent["readings"][0]["heart_rate"], 199)
    assert (shown["field"], shown["owner"]) == ("readings[].heart_rate", "clinic")
    assert record(bridge, "session", sent["id"])["version"] == 1
    assert pulled(bridge, hospital)["conflict"] == 0
    assert len(open_conflicts(bridge)) == 1


def test_while_a_conflict_is_open_the_resource_is_not_written_and_the_rest_is(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    id = set_heart_rate(hospital, 199)
    pulled(bridge, hospital)
    post(bridge, next_version(sent, outcome={"text": "Synthetic: slept well"}, readings=[sent["readings"][0] | {"heart_rate": 81}]))
    work(bridge)
    assert state(bridge, sent)["state"] == "delivered"
    assert next(one for one in hospital.held("Observation") if one["id"] == id)["valueQuantity"]["value"] == 199
    assert "slept well" in str(hospital.held("EpisodeOfCare") + hospital.held("Observation"))


def test_to_keep_ours_sends_our_value_again(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    id = set_heart_rate(hospital, 199)
    pulled(bridge, hospital)
    (found,) = open_conflicts(bridge)
    conflicts.keep_ours(bridge, tenant="default", id=found.id, who="anna", why="the device was read twice")
    work(bridge)
    held = next(one for one in hospital.held("Observation") if one["id"] == id)
    assert held["valueQuantity"]["value"] == sent["readings"][0]["heart_rate"]
    assert set(pulled(bridge, hospital)) == {"echo"}
    assert open_conflicts(bridge) == []
    assert [(actor, action) for actor, action, _ in told(bridge, f"conflict/{found.id}")] == [
        ("hospital:general", "conflict"),
        ("anna", "keep-ours"),
    ]
    with pytest.raises(Decided):
        conflicts.take_theirs(bridge, tenant="default", id=found.id, who="anna")


def test_to_take_theirs_is_the_records_next_version_and_sends_nothing_of_it_back(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    id = set_heart_rate(hospital, 98)
    pulled(bridge, hospital)
    (found,) = open_conflicts(bridge)
    conflicts.take_theirs(bridge, tenant="default", id=found.id, who="anna")
    now = record(bridge, "session", sent["id"])
    assert (now["version"], now["readings"][0]["heart_rate"]) == (2, 98)
    held = next(one for one in hospital.held("Observation") if one["id"] == id)
    work(bridge)
    assert next(one for one in hospital.held("Observation") if one["id"] == id) == held
    assert set(pulled(bridge, hospital)) == {"echo"}


def test_the_hospital_that_goes_back_to_our_value_ends_the_conflict_itself(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    set_heart_rate(hospital, 199)
    pulled(bridge, hospital)
    (found,) = open_conflicts(bridge)
    change(hospital, "Observation", lambda one: one["valueQuantity"].update(value=sent["readings"][0]["heart_rate"]), id=found.theirs[12:])
    pulled(bridge, hospital)
    assert open_conflicts(bridge) == []
    assert conflicts.listing(bridge, "default", state="settled")[0]["id"] == found.id


def test_a_session_with_the_old_name_gets_the_hospitals_new_one_and_does_not_write_over_it(
    bridge: Bridge, hospital: Ward, sent: Session
) -> None:
    change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
    pulled(bridge, hospital)
    later = sent | {"id": "S-LATER", "follow_up": sent["follow_up"] | {"id": "F-LATER"}}
    post(bridge, later)
    work(bridge)
    assert hospital.held("Patient")[0]["name"][0]["family"] == "Synthetic-Married"
    now = record(bridge, "session", "S-LATER")
    assert (now["version"], now["patient"]["family_name"]) == (2, "Synthetic-Married")
    assert open_conflicts(bridge) == []


def test_a_third_name_is_a_conflict_and_the_hospitals_stays_there(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
    pulled(bridge, hospital)
    now = record(bridge, "session", sent["id"])
    post(bridge, next_version(now, patient=now["patient"] | {"family_name": "Synthetic-Third"}))
    work(bridge)
    assert hospital.held("Patient")[0]["name"][0]["family"] == "Synthetic-Married"
    (found,) = open_conflicts(bridge)
    conflicts.keep_ours(bridge, tenant="default", id=found.id, who="anna")
    work(bridge)
    assert hospital.held("Patient")[0]["name"][0]["family"] == "Synthetic-Third"
    assert open_conflicts(bridge) == []


def test_an_appointment_moved_by_both_at_once_is_a_conflict_and_stays_as_the_hospital_moved_it(
    bridge: Bridge, hospital: Ward, sent: Session
) -> None:
    (id,) = [one["id"] for one in hospital.held("Appointment") if "FOLLOWUP" in str(one)]
    moved = {"start": "2026-04-14T15:00:00Z", "end": "2026-04-14T15:30:00Z"}
    change(hospital, "Appointment", lambda one: one.update(moved), id=id)
    ours = sent["follow_up"] | {"start": "2026-04-15T15:00:00Z", "end": "2026-04-15T15:30:00Z"}
    post(bridge, next_version(sent, follow_up=ours))
    work(bridge)  # the hospital refuses the write over its version; the look meets its change
    bridge.clock.pass_(hours=1)  # type: ignore[attr-defined]
    work(bridge)
    held = next(one for one in hospital.held("Appointment") if one["id"] == id)
    assert held["start"] == moved["start"]
    assert {one.path for one in open_conflicts(bridge)} == {"follow_up.start", "follow_up.end"}
    assert conflicts.keep_ours_in(bridge, Which("default", field="follow_up.start"), who="anna").done == 1
    assert conflicts.keep_ours_in(bridge, Which("default", hospital="general"), who="anna").done == 1
    work(bridge)
    assert next(one for one in hospital.held("Appointment") if one["id"] == id)["start"] == ours["start"]


def test_what_the_hospital_deleted_is_a_card_and_comes_back_when_ours_is_kept(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    gone = heart_rates(hospital)[0]["id"]
    delete(hospital, "Observation", str(gone))
    assert pulled(bridge, hospital)["deleted"] == 1
    post(bridge, next_version(sent, outcome={"text": "Synthetic: slept well"}))
    work(bridge)
    assert gone not in {one["id"] for one in hospital.held("Observation")}
    (found,) = open_conflicts(bridge)
    assert found.what == "deleted"
    conflicts.keep_ours(bridge, tenant="default", id=found.id, who="anna")
    work(bridge)
    assert gone in {one["id"] for one in hospital.held("Observation")}


def test_a_deletion_that_is_let_stand_is_not_asked_about_again_and_not_undone(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    gone = str(heart_rates(hospital)[0]["id"])
    delete(hospital, "Observation", gone)
    pulled(bridge, hospital)
    conflicts.take_theirs(bridge, tenant="default", id=open_conflicts(bridge)[0].id, who="anna")
    assert pulled(bridge, hospital)["deleted"] == 1
    assert open_conflicts(bridge) == []
    post(bridge, next_version(sent, readings=[sent["readings"][0] | {"heart_rate": 99}]))
    work(bridge)
    assert gone not in {one["id"] for one in hospital.held("Observation")}


def test_what_the_hospital_brings_back_after_a_deletion_is_written_again(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    back = heart_rates(hospital)[0]
    delete(hospital, "Observation", str(back["id"]))
    pulled(bridge, hospital)
    conflicts.take_theirs(bridge, tenant="default", id=open_conflicts(bridge)[0].id, who="anna")
    with hospital.chart.draft() as draft:
        draft.write("Observation", str(back["id"]), document=back | {"note": [{"text": "restored"}]}, method="PUT")
    pulled(bridge, hospital)
    readings = [sent["readings"][0] | {"heart_rate": 99}, *sent["readings"][1:]]
    post(bridge, next_version(sent, readings=readings))
    work(bridge)
    held = next(one for one in hospital.held("Observation") if one["id"] == back["id"])
    assert held["valueQuantity"]["value"] == 99


def test_a_merged_patient_is_a_card_and_what_follows_once_confirmed_goes_to_the_other(
    bridge: Bridge, hospital: Ward, sent: Session
) -> None:
    with hospital.chart.draft() as draft:
        draft.write("Patient", "survivor", document={"resourceType": "Patient", "id": "survivor"}, method="PUT")
    link = {"other": {"reference": "Patient/survivor"}, "type": "replaced-by"}
    (mine,) = [one["id"] for one in hospital.held("Patient") if one["id"] != "survivor"]
    change(hospital, "Patient", lambda one: one.update(active=False, link=[link]), id=mine)
    assert pulled(bridge, hospital)["merged"] == 1
    (found,) = open_conflicts(bridge)
    conflicts.take_theirs(bridge, tenant="default", id=found.id, who="anna")
    post(bridge, next_version(sent, outcome={"text": "Synthetic: slept well"}))
    work(bridge)
    later = sent | {"id": "S-LATER", "follow_up": sent["follow_up"] | {"id": "F-LATER"}}
    post(bridge, later)
    work(bridge)
    encounters = {one["identifier"][0]["value"]: one for one in hospital.held("Encounter")}
    assert encounters["S-LATER"]["subject"]["reference"] == "Patient/survivor"


def test_an_unknown_conflict_is_refused(bridge: Bridge) -> None:
    with pytest.raises(Refused):
        conflicts.keep_ours(bridge, tenant="default", id="nothing", who="anna")
