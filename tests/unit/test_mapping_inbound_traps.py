"""What hospitals send that looks like something else: each of these has been read wrongly by somebody.

The states are FHIR R4's; what they mean to each other is told by its definitions (Encounter.cancelled "ended before it has begun",
Appointment.fulfilled "the appointment has taken place": planning is over) and by HL7's maps from v2 to FHIR.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhir_bridge import bootstrap, documents
from fhir_bridge.clinic import words
from fhir_bridge.mapping import Read
from fhir_bridge.settings import Settings, Site

Document = dict[str, Any]
ROOT = Path(__file__).parents[2]
CASES = ROOT / "fixtures" / "cases"
MAPPING = bootstrap.site(Settings(sites={"clinic": Site("clinic")}), "clinic").mapping
STATE = "/clinic-state"


def case(name: str) -> Document:
    """A clinic record of the stories."""
    record: Document = documents.loads((CASES / f"{name}.json").read_bytes())
    return record


def written(record: Document, *kinds: str) -> list[Document]:
    """What `record` becomes, as a hospital holds it: copies that may be changed; of these kinds, if any are named."""
    return [deepcopy(one) for one in MAPPING.to_fhir(record).resources if not kinds or one["resourceType"] in kinds]


def find(resources: list[Document], kind: str) -> Document:
    return next(one for one in resources if one["resourceType"] == kind)


def without_state(encounter: Document) -> Document:
    """The Encounter as a hospital keeps it that drops extensions it does not know."""
    return {**encounter, "extension": [one for one in encounter["extension"] if not one["url"].endswith(STATE)]}


def read(*resources: Document, onto: Document | None = None) -> Read:
    return MAPPING.from_fhir(list(resources), onto=onto)


SCHEDULED, STOPPED, NO_SHOW = (
    case("referred-biologic/session-3-scheduled"),
    case("referred-biologic/session-1"),
    case("status-migrainosus-rescue/session-4-no-show"),
)
CANCELLED, NOT_STARTED = case("hydration-and-nutrients/session-2-cancelled"), case("referred-biologic/session-2-not-started")
COMPLETED = case("monitored-clinic-visit/session-1")


@pytest.mark.parametrize(("code", "word"), [("triaged", "checked-in"), ("onleave", "paused")])
def test_a_state_only_hospitals_have_reads_as_ours_and_is_kept(code: str, word: str) -> None:
    encounter = without_state(find(written(SCHEDULED), "Encounter")) | {"status": code}
    found = read(encounter)
    assert found.record["status"] == word
    again = find(MAPPING.to_fhir(SCHEDULED | {"status": word}, onto=[encounter]).resources, "Encounter")
    assert again["status"] == code


def test_an_unknown_status_keeps_the_state_before_and_is_reported() -> None:
    encounter = without_state(find(written(COMPLETED), "Encounter")) | {"status": "unknown"}
    found = read(encounter, onto=COMPLETED)
    assert found.record["status"] == "completed"
    assert [one.path for one in found.residue] == ["Encounter.status"]


@pytest.mark.parametrize("record", [COMPLETED, STOPPED, NOT_STARTED], ids=lambda record: record["status"])
def test_a_finished_encounter_is_told_by_its_procedure(record: Document) -> None:
    resources = written(record, "Encounter", "Procedure")
    encounter = without_state(find(resources, "Encounter"))
    assert encounter["status"] == "finished"
    found = read(encounter, find(resources, "Procedure"))
    assert (found.record["status"], found.conflicts) == (record["status"], [])


def test_a_finished_encounter_alone_is_taken_as_completed() -> None:
    assert read(without_state(find(written(STOPPED), "Encounter"))).record["status"] == "completed"


def test_a_cancelled_encounter_is_a_no_show_when_its_appointment_says_so() -> None:
    resources = written(NO_SHOW, "Encounter", "Appointment")
    encounter = without_state(find(resources, "Encounter"))
    appointment = next(one for one in resources if one["status"] == "noshow")
    assert encounter["status"] == "cancelled"
    assert read(encounter, appointment).record["status"] == "no-show"
    assert read(encounter).record["status"] == "cancelled"


def test_a_fulfilled_appointment_alone_does_not_make_the_session_completed() -> None:
    appointment = find(written(SCHEDULED), "Appointment") | {"status": "fulfilled"}
    found = read(appointment, onto=SCHEDULED)
    assert (found.record["status"], found.conflicts) == ("attended", [])


def test_a_fulfilled_appointment_with_a_finished_encounter_does() -> None:
    resources = written(COMPLETED, "Encounter", "Appointment")
    planned = next(one for one in resources if one["status"] == "fulfilled")
    found = read(without_state(find(resources, "Encounter")), planned)
    assert (found.record["status"], found.conflicts) == ("completed", [])


def test_a_new_status_of_the_hospital_counts_more_than_our_own_word_and_a_person_sees_it() -> None:
    encounter = find(written(SCHEDULED), "Encounter") | {"status": "cancelled"}
    found = read(encounter, onto=SCHEDULED)
    assert found.record["status"] == "cancelled"
    (conflict,) = found.conflicts
    assert conflict.path == "status"
    assert {"cancelled", "scheduled"} <= {getattr(one.value, "default", one.value) for one in conflict.said}


@pytest.mark.parametrize(
    "kind", ["Condition", "Observation", "Communication", "MedicationAdministration", "AllergyIntolerance", "Appointment"]
)
def test_what_a_session_entered_in_error_left_behind_is_in_error_too(kind: str) -> None:
    right = case("monitored-clinic-visit/session-3-entered-in-error")
    for resource in written(right, kind):
        status = resource.get("status") or resource["verificationStatus"]["coding"][0]["code"]
        assert status == "entered-in-error", resource["identifier"]


def test_a_session_entered_in_error_later_changes_what_the_hospital_holds() -> None:
    held = written(COMPLETED, "Condition", "Communication")
    again = MAPPING.to_fhir(COMPLETED | {"status": "entered-in-error"}, onto=held).resources
    assert find(again, "Condition")["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert find(again, "Communication")["status"] == "entered-in-error"


def test_our_own_word_is_trusted_while_the_status_still_agrees_with_it() -> None:
    checked_in = SCHEDULED | {"status": "checked-in"}
    encounter = find(written(checked_in), "Encounter")
    assert encounter["status"] == "arrived"
    assert (read(encounter).record["status"], read(encounter).conflicts) == ("checked-in", [])


@pytest.mark.parametrize("code", ["SS", "OBSENC", "ACUTE", "NONAC"])
def test_a_short_stay_or_observation_is_a_session_in_the_hospital_and_keeps_its_class(code: str) -> None:
    encounter = find(written(STOPPED | {"care_setting": "hospital"}), "Encounter")
    encounter["class"] = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}
    encounter["extension"] = [one for one in encounter["extension"] if not one["url"].endswith("/care-setting")]
    found = read(encounter)
    assert found.record["care_setting"] == "hospital"
    again = find(MAPPING.to_fhir(STOPPED | {"care_setting": "hospital"}, onto=[encounter]).resources, "Encounter")
    assert again["class"] == encounter["class"]


def test_the_legacy_code_for_intravenous_is_a_route() -> None:
    administration = find(written(COMPLETED), "MedicationAdministration")
    administration["dosage"]["route"] = {"coding": [{"system": "http://snomed.info/sct", "code": "255560000", "display": "Intravenous"}]}
    rows = [*read(administration).record.get("drugs", []), *read(administration).record.get("fluids", [])]
    assert [row["route"] for row in rows] == ["intravenous"]


def test_code_systems_are_named_by_their_one_true_uri() -> None:
    text = "".join(path.read_text() for path in (ROOT / "mappings").rglob("*.yaml"))
    for wrong in (
        "https://www.cms.gov",
        "https://loinc.org",
        "https://snomed.info",
        "https://terminology.hl7.org",
        "urn:oid:2.16.840.1.113883.6",
    ):
        assert wrong not in text
    assert "http://www.cms.gov/Medicare/Coding/ICD10" not in text, "that is ICD-10-PCS, not CM"


def test_aura_without_headache_is_no_status_migrainosus() -> None:
    condition = find(written(case("status-migrainosus-rescue/session-1")), "Condition")
    condition["code"] = {"coding": [{"system": "http://snomed.info/sct", "code": "230465000", "display": "Migraine aura without headache"}]}
    found = read(condition)
    assert "condition" not in found.record.get("indication", {})
    assert any(one.path.startswith("Condition.code") for one in found.residue)


def test_a_declined_participation_in_a_cancelled_appointment_is_the_patients_word() -> None:
    appointment = find(written(case("monitored-clinic-visit/appointment-1")), "Appointment")
    appointment["status"] = "cancelled"
    appointment["participant"][0]["status"] = "declined"
    system = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
    appointment["cancelationReason"] = {"coding": [{"system": system, "code": "pat-dec"}]}
    follow_up = read(appointment).record["follow_up"]
    assert (follow_up["status"], follow_up["reason"]) == ("cancelled", "patient")


FOLLOW_UPS = {"proposed": "proposed", "pending": "pending", "booked": "booked", "arrived": "arrived", "checked-in": "checked-in"} | {
    "fulfilled": "fulfilled", "cancelled": "cancelled", "noshow": "no-show", "waitlist": "waitlisted",
}  # fmt: skip


@pytest.mark.parametrize("code", FOLLOW_UPS)
@pytest.mark.parametrize("participation", ["accepted", "needs-action"])
def test_a_hospital_moves_an_appointment_and_leaves_its_participant_as_it_was(code: str, participation: str) -> None:
    appointment = find(written(case("monitored-clinic-visit/appointment-1")), "Appointment") | {"status": code}
    appointment["participant"][0]["status"] = participation
    found = read(appointment)
    assert (found.record["follow_up"]["status"], found.conflicts) == (FOLLOW_UPS[code], [])


def test_a_patient_who_declined_an_appointment_that_stands_is_shown_to_a_person() -> None:
    appointment = find(written(case("monitored-clinic-visit/appointment-1")), "Appointment")
    appointment["participant"][0]["status"] = "declined"
    found = read(appointment)
    assert found.record["follow_up"]["status"] == "booked"
    assert [one.path for one in found.conflicts] == ["follow_up.status"]


LOOP = case("referred-biologic/referral-scheduled")


def referral(**changes: Any) -> Read:
    """The referral's order and Task read back, with the Task's elements changed (None: left out)."""
    resources = written(LOOP)
    task = find(resources, "Task") | changes
    return read(
        find(resources, "Patient"), find(resources, "ServiceRequest"), {name: value for name, value in task.items() if value is not None}
    )


@pytest.mark.parametrize("state", words.REFERRAL_STATES)
def test_every_state_of_a_referral_comes_back_from_order_and_task(state: str) -> None:
    record = deepcopy(LOOP)
    record["referral"]["status"] = state
    found = read(*written(record))
    assert (found.record, found.residue, found.conflicts) == (record, [], [])


def test_an_accepted_task_with_a_scheduled_event_is_scheduled() -> None:
    found = referral(status="accepted")
    assert (found.record["referral"]["status"], found.conflicts) == ("scheduled", [])


TASKS = {"requested": "submitted", "draft": "submitted", "ready": "accepted", "in-progress": "in-treatment", "rejected": "declined"}


@pytest.mark.parametrize(("code", "word"), TASKS.items())
def test_a_task_without_business_status_says_what_its_status_says(code: str, word: str) -> None:
    found = referral(status=code, businessStatus=None)
    assert (found.record["referral"]["status"], found.conflicts) == (word, [])


def test_an_order_alone_is_a_referral_just_submitted() -> None:
    resources = written(LOOP)
    assert read(find(resources, "Patient"), find(resources, "ServiceRequest")).record["referral"]["status"] == "submitted"


def test_a_business_status_that_contradicts_the_task_is_a_conflict() -> None:
    (conflict,) = referral(status="rejected").conflicts
    assert conflict.path == "referral.status"


def test_a_declined_referral_leaves_the_hospitals_order_active() -> None:
    resources = written(case("referred-biologic/referral-declined"))
    assert find(resources, "ServiceRequest")["status"] == "active"
    assert find(resources, "Task")["status"] == "rejected"
    assert "allergy" in find(resources, "Task")["statusReason"]["text"]
