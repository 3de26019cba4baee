"""The summary as text: what must be read first stands first, nothing wrong is shown, nothing is made up."""

from base64 import b64decode
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.clinic.summary import summary_text, with_summary
from fhir_bridge.errors import Refused

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
_OF_AN_INFUSION = (
    "started_at",
    "ended_at",
    "readings",
    "symptoms",
    "drugs",
    "fluids",
    "reactions",
    "allergies",
    "outcome",
    "status_reason",
)


def case(name: str) -> dict[str, Any]:
    return records.load("session", documents.loads((CASES / f"{name}.json").read_bytes()))


STOPPED = case("referred-biologic/session-1")
MONITORED = case("monitored-clinic-visit/session-1")


def without(record: dict[str, Any], *names: str, **changed: Any) -> dict[str, Any]:
    return {name: value for name, value in deepcopy(record).items() if name not in names} | changed


def section(record: dict[str, Any], title: str) -> str:
    """The lines under a heading, joined to one."""
    blocks = dict(block.split("\n", 1) for block in summary_text(record).split("\n\n") if "\n" in block)
    return " ".join(blocks.get(title, "").split())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "no-show"}, "NO-SHOW: the patient did not come"),
        ({"status": "cancelled", "status_reason": "patient-cancelled"}, "CANCELLED: no infusion was given - patient cancelled"),
        ({"status": "not-started", "status_reason": "no-iv-access"}, "NOT STARTED: no infusion was given - no iv access"),
    ],
)
def test_the_first_line_says_in_plain_words_that_nothing_was_given(change: dict[str, Any], said: str):
    assert said in " ".join(summary_text(without(STOPPED, *_OF_AN_INFUSION, **change)).split("\n\n")[0].split())


def test_a_session_stopped_early_says_so_first_and_why():
    assert summary_text(STOPPED).startswith(
        "INFUSION SESSION S-RBI-1: STOPPED EARLY - adverse reaction\n2026-05-12, 09:30-12:35 (UTC-04:00)"
    )


def test_a_drug_has_its_time_dose_rate_way_and_end():
    assert "10:00-10:18 Eptinezumab 60 mg at 200 mL/h, IV, left forearm, STOPPED (adverse reaction)" in section(STOPPED, "GIVEN")


def test_a_change_of_rate_is_told_with_its_time():
    said = section(case("status-migrainosus-rescue/session-1"), "GIVEN")
    assert "Magnesium sulfate 0.67 g at 100 mL/h, then 1.33 g at 50 mL/h from 14:15" in said


def test_drugs_have_the_names_that_the_caller_gives_them():
    assert "Eptinezumab-jjmr 60 mg" in summary_text(STOPPED, names=lambda _, word: f"{word}-jjmr")


def test_a_reaction_tells_what_was_done_and_what_was_given_for_it():
    said = section(STOPPED, "REACTIONS")
    assert "10:17-12:10 Lip swelling, SERIOUS, moderate, resolved, suspected: Eptinezumab, given for it: Methylprednisolone" in said


def test_vital_signs_are_a_table_with_first_lowest_highest_and_last():
    assert "Systolic mmHg 122 102 (10:20) 122 (09:35) 122 15" in section(STOPPED, "VITAL SIGNS")


def test_digits_stay_as_they_were_measured():
    assert "Weight kg 66.20" in section(STOPPED, "VITAL SIGNS")


def test_what_was_not_measured_is_said_with_its_reason():
    said = section(MONITORED, "VITAL SIGNS")
    assert "Not measured - refused: systolic 11:00; diastolic 11:00" in said
    assert "Not measured - device fault: oxygen saturation 11:30" in said


def test_no_vital_signs_is_said_and_not_left_to_guess():
    assert section(without(STOPPED, "readings"), "VITAL SIGNS") == "No vital signs were recorded"


def test_a_reading_entered_in_error_is_counted_and_its_values_are_not_shown():
    record = deepcopy(STOPPED)
    record["readings"][5] |= {"state": "entered-in-error", "heart_rate": 399}
    said = section(record, "VITAL SIGNS")
    assert "1 entered in error and not shown" in said
    assert "399" not in said


def test_a_session_entered_in_error_shows_nothing_of_what_was_recorded():
    changed = {"status": "entered-in-error", "version": 2, "correction": {"reason": "Wrong patient.", "at": "2026-05-13T09:00:00-04:00"}}
    said = summary_text(without(STOPPED, "status_reason", **changed))
    assert "must not be relied on" in " ".join(said.split())
    assert "Wrong patient." in said
    assert "Eptinezumab" not in said


def test_a_drug_entered_in_error_is_marked_and_one_not_given_says_why():
    record = deepcopy(STOPPED)
    record["drugs"][1] |= {"state": "entered-in-error"}
    record["drugs"][2] |= {"state": "not-given", "reason": "contraindication"}
    said = section(record, "GIVEN")
    assert "ENTERED IN ERROR, disregard" in said
    assert "NOT GIVEN (contraindication)" in said


def test_times_of_other_offsets_are_shown_on_the_clock_of_the_session():
    record = deepcopy(STOPPED)
    record["drugs"][0]["steps"][0] |= {"started_at": "2026-05-12T14:00:00Z", "ended_at": "2026-05-12T16:18:00+02:00"}
    assert "10:00-10:18 Eptinezumab" in section(record, "GIVEN")


def test_micrograms_are_never_written_with_a_letter_that_reads_as_milli():
    record = deepcopy(STOPPED)
    record["drugs"][0]["steps"][0] |= {"rate": {"value": 5, "unit": "ug/kg/min"}}
    assert "5 mcg/kg/min" in section(record, "GIVEN")


def test_no_line_is_too_wide_for_a_terminal():
    assert max(map(len, summary_text(STOPPED).splitlines())) <= 80


@pytest.mark.parametrize("status", ["scheduled", "arrived", "checked-in"])
def test_there_is_no_summary_of_what_has_not_begun(status: str):
    record = without(STOPPED, *_OF_AN_INFUSION, status=status)
    assert with_summary(record) == record


def test_an_appointment_alone_has_no_summary():
    record = {"id": "A-1", "patient": STOPPED["patient"], "follow_up": STOPPED["follow_up"]}
    assert with_summary(record) == record


def test_the_same_record_has_the_same_summary_and_the_record_is_left_as_it_was():
    record = deepcopy(STOPPED)
    first = with_summary(record)
    assert first == with_summary(deepcopy(STOPPED))
    assert record == STOPPED
    assert b64decode(first["summary"]["text"]).decode() == summary_text(STOPPED)


def test_a_summary_is_of_the_end_of_the_session_or_of_its_correction():
    corrected = STOPPED | {"version": 2, "correction": {"reason": "Dose.", "at": "2026-05-13T09:00:00-04:00"}}
    missed = without(STOPPED, *_OF_AN_INFUSION, "recorded_at", status="no-show")
    created = [with_summary(record)["summary"]["created"] for record in (STOPPED, corrected, missed)]
    assert created == ["2026-05-12T12:35:00-04:00", "2026-05-13T09:00:00-04:00", "2026-05-12T09:30:00-04:00"]


def test_the_door_takes_no_summary_from_outside():
    with pytest.raises(Refused):
        records.load("session", STOPPED | {"summary": {"text": "QQ==", "pdf": "QQ=="}})
