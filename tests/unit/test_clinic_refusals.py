"""Every way a session can be wrong is refused, by path, with what to do, and all of it at once."""

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.errors import Refused

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
NEW_YORK = ZoneInfo("America/New_York")
GONE = object()


def session() -> dict[str, Any]:
    """A complete session without faults, to be spoilt."""
    return dict(documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes()))


def spoilt(**changes: Any) -> dict[str, Any]:
    """The session with fields replaced; the path's steps are joined by two underscores: `readings__0__heart_rate`."""
    record = session()
    for path, value in changes.items():
        *steps, last = [int(step) if step.isdigit() else step for step in path.split("__")]
        part: Any = record
        for step in steps:
            part = part[step]
        if value is GONE:
            del part[last]
        else:
            part[last] = value
    return record


def refusal(record: Any, *, kind: str = "session", zone: ZoneInfo | None = None) -> dict[str, str]:
    """The faults of `record`, path to message."""
    with pytest.raises(Refused) as refused:
        records.load(kind, record, zone=zone)
    return {fault.path: fault.message for fault in refused.value.faults}


ONE_FAULT = [
    ("a time without an offset and no site zone", {"started_at": "2026-03-02T09:00:00"}, "started_at", "add the offset"),
    ("second sixty", {"started_at": "2026-03-02T09:00:60Z"}, "started_at", "leap second"),
    ("hour twenty-four", {"ended_at": "2026-03-02T24:00:00-05:00"}, "ended_at", "hour"),
    ("a day the calendar lacks", {"started_at": "2026-02-30T09:00:00-05:00"}, "started_at", "does not exist"),
    ("an offset of fifteen hours", {"started_at": "2026-03-02T09:00:00+15:00"}, "started_at", "14:00"),
    ("a time with a space", {"started_at": "2026-03-02 09:00:00-05:00"}, "started_at", "write it like"),
    ("a time in another script's digits", {"started_at": "2026-03-02T09:00:0٠-05:00"}, "started_at", "write it like"),
    ("a year that is a slip", {"planned__start": "0206-03-02T09:00:00-05:00"}, "planned.start", "correct the year"),
    ("a time as a number", {"started_at": 1772456400}, "started_at", "time in quotes"),
    ("a birth date that does not exist", {"patient__birth_date": "1985-02-29"}, "patient.birth_date", "does not have"),
    ("a birth date with a time", {"patient__birth_date": "1985-02-27T00:00:00Z"}, "patient.birth_date", "write it like"),
    ("a birth date after the session", {"patient__birth_date": "2026-05-01"}, "patient.birth_date", "after the session"),
    ("a number as text", {"readings__2__heart_rate": "72"}, "readings[2].heart_rate", "without quotes"),
    ("a boolean as a number", {"readings__2__heart_rate": True}, "readings[2].heart_rate", "must be a number"),
    ("a boolean as a whole number", {"version": True}, "version", "whole number"),
    ("a whole number as text", {"version": "2"}, "version", "whole number"),
    ("NaN", {"readings__2__heart_rate": float("nan")}, "readings[2].heart_rate", "finite"),
    ("Infinity", {"readings__2__heart_rate": Decimal("Infinity")}, "readings[2].heart_rate", "finite"),
    ("nineteen digits", {"readings__2__heart_rate": Decimal("72.00000000000000001")}, "readings[2].heart_rate", "too many digits"),
    ("a heart rate nobody has", {"readings__0__heart_rate": 880}, "readings[0].heart_rate", "between 0 and 400"),
    ("Fahrenheit where Celsius is meant", {"readings__0__temperature": Decimal("98.6")}, "readings[0].temperature", "check number and unit"),  # noqa: E501
    ("a weight in grams", {"readings__0__weight": 64200}, "readings[0].weight", "between"),
    ("a reason for absence that nobody knows", {"readings__0__weight": {"absent": "forgot"}}, "readings[0].weight.absent", "one of refused"),  # noqa: E501
    ("a unit of another quantity", {"readings__0__weight": {"value": 64, "unit": "mL"}}, "readings[0].weight.unit", "one of kg"),
    ("a value without its unit", {"readings__0__weight": {"value": 64}}, "readings[0].weight.unit", "required"),
    ("an ambiguous unit", {"drugs__0__steps__0__dose": {"value": 4, "unit": "gr"}}, "drugs[0].steps[0].dose.unit", "two meanings"),
    ("drops a minute", {"fluids__0__rate": {"value": 20, "unit": "gtt/min"}}, "fluids[0].rate.unit", "drip set"),
    ("a dose of nothing", {"drugs__0__steps__0__dose": {"value": 0, "unit": "mg"}}, "drugs[0].steps[0].dose.value", "more than 0"),
    ("milligrams where micrograms are meant", {"drugs__0__steps__0__dose": {"value": 400, "unit": "g"}}, "drugs[0].steps[0].dose.value", "at most 100 g"),  # noqa: E501
    ("a dose as a bare number", {"drugs__0__steps__0__dose": 4}, "drugs[0].steps[0].dose", "object with value and unit"),
    ("half a point of pain", {"symptoms__0__pain": Decimal("6.5")}, "symptoms[0].pain", "whole number"),
    ("pain eleven", {"symptoms__0__pain": 11}, "symptoms[0].pain", "between 0 and 10"),
    ("an unknown field", {"companions": {}}, "companions", "did you mean companion?"),
    ("an unknown field inside a list", {"readings__1__heartrate": 72}, "readings[1].heartrate", "did you mean heart_rate?"),
    ("a null", {"indication": None}, "indication", "leave the field out"),
    ("empty text", {"patient__family_name": "  "}, "patient.family_name", "empty"),
    ("a control character", {"patient__family_name": "Al\x07der"}, "patient.family_name", "control character"),
    ("half a surrogate pair", {"patient__family_name": "Al\ud800der"}, "patient.family_name", "control character"),
    ("a line break in a name", {"patient__family_name": "Al\nder"}, "patient.family_name", "line break"),
    ("text that is too long", {"patient__family_name": "A" * 101}, "patient.family_name", "100 characters"),
    ("no given names", {"patient__given_names": []}, "patient.given_names", "at least one"),
    ("an id with a slash", {"id": "S/1"}, "id", "form"),
    ("a number system that is no URI", {"patient__hospital_numbers__0__system": "MRN"}, "patient.hospital_numbers[0].system", "form"),
    ("a status that nobody knows", {"status": "done"}, "status", "write one of scheduled"),
    ("a drug written with capitals", {"drugs__0__drug": "Ketorolac"}, "drugs[0].drug", "lower-case"),
    ("a missing patient", {"patient": GONE}, "patient", "required"),
    ("a list where an object belongs", {"patient": []}, "patient", "object"),
    ("an object where a list belongs", {"readings": {}}, "readings", "list"),
    ("a drug without steps", {"drugs__0__steps": []}, "drugs[0].steps", "at least one"),
    ("the end before the start", {"planned__end": "2026-03-02T08:59:59-05:00"}, "planned.end", "before start"),
    ("a drug step after the session", {"drugs__3__steps__0__ended_at": "2026-03-02T13:21:00-05:00"}, "drugs[3].steps[0].ended_at", "outside"),  # noqa: E501
    ("a drug step before the session", {"drugs__0__steps__0__started_at": "2026-03-02T13:59:00Z"}, "drugs[0].steps[0].started_at", "outside"),  # noqa: E501
    ("a fluid after the session", {"fluids__0__ended_at": "2026-03-02T14:00:00-05:00"}, "fluids[0].ended_at", "outside"),
    ("a step that ends before it starts", {"drugs__0__steps__0__ended_at": "2026-03-02T09:19:00-05:00"}, "drugs[0].steps[0].ended_at", "before"),  # noqa: E501
    ("a reaction that ends before it starts", {"reactions__0__ended_at": "2026-03-02T09:50:00-05:00"}, "reactions[0].ended_at", "before"),
    ("a reaction reported before it was", {"reactions__0__reported_at": "2026-03-02T09:50:00-05:00"}, "reactions[0].reported_at", "before"),
    ("a follow-up before the session", {"follow_up__start": "2026-03-02T09:00:00-05:00"}, "follow_up.start", "before the end"),
    ("a booked follow-up without an end", {"follow_up__end": GONE}, "follow_up.end", "required beside start"),
    ("a reason for a booked follow-up", {"follow_up__reason": "patient"}, "follow_up.reason", "cancelled appointment"),
    ("a suspect that is not in the session", {"reactions__0__suspected_drug": "99"}, "reactions[0].suspected_drug", "names no drug"),
    ("a rescue for a reaction that is not there", {"drugs__0__for_reaction": "R9"}, "drugs[0].for_reaction", "names no reaction"),
    ("two drugs with one id", {"drugs__1__id": "01"}, "drugs[1].id", "same id as drugs[0]"),
    ("a fluid with a drug's id", {"fluids__0__id": "01"}, "fluids[0].id", "share their numbers"),
    ("two readings at one moment", {"readings__1__taken_at": "2026-03-02T14:00:00Z"}, "readings[1].taken_at", "same taken_at"),
    ("a completed session without an end", {"ended_at": GONE}, "ended_at", "required when status is completed"),
    ("a reason for a completed session", {"status_reason": "other"}, "status_reason", "leave it out"),
    ("a stopped session without a reason", {"status": "stopped"}, "status_reason", "required when status is stopped"),
    ("a running session with an end", {"status": "in-progress"}, "ended_at", "not for a session that is in-progress"),
    ("a correction of the first version", {"correction": {"reason": "x", "at": "2026-03-02T14:00:00Z"}}, "correction", "version above 1"),
    ("a reason for a drug that was given", {"drugs__0__reason": "other"}, "drugs[0].reason", "leave it out"),
    ("more headache days than days", {"headache_days__days": 29}, "headache_days.days", "28 days"),
    ("a window that ends before it begins", {"headache_days__to": "2026-01-01"}, "headache_days.to", "before from"),
    ("a reading that says nothing", {"readings__3": {"taken_at": "2026-03-02T09:45:00-05:00"}}, "readings[3]", "says nothing"),
    ("a step with neither dose nor rate", {"drugs__0__steps__0__dose": GONE}, "drugs[0].steps[0]", "says nothing"),
    ("overuse on the thirty-second day", {"overused_drugs": [{"drug": "ibuprofen", "days_per_month": 32}]}, "overused_drugs[0].days_per_month", "1 and 31"),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("changes", "path", "hint"), [case[1:] for case in ONE_FAULT], ids=[case[0] for case in ONE_FAULT])
def test_refused_with_one_fault_that_says_what_to_do(changes: dict[str, Any], path: str, hint: str) -> None:
    faults = refusal(spoilt(**changes))
    assert list(faults) == [path]
    assert hint in faults[path]


def test_a_local_time_that_does_not_exist_is_refused() -> None:
    assert "does not exist in America/New_York" in refusal(spoilt(started_at="2026-03-08T02:30:00"), zone=NEW_YORK)["started_at"]


def test_a_local_time_that_exists_twice_is_refused_with_both_offsets() -> None:
    message = refusal(spoilt(follow_up__end="2026-11-01T01:30:00"), zone=NEW_YORK)["follow_up.end"]
    assert "exists twice" in message and "-04:00 or -05:00" in message


def test_a_naive_time_is_completed_with_the_offset_the_site_had_that_day() -> None:
    record = records.load("session", spoilt(started_at="2026-03-02T09:00", follow_up__end="2026-03-16T10:30:00"), zone=NEW_YORK)
    assert (record["started_at"], record["follow_up"]["end"]) == ("2026-03-02T09:00:00-05:00", "2026-03-16T10:30:00-04:00")


def test_a_complete_time_stays_as_it_was_sent_whatever_the_site_zone() -> None:
    record = records.load("session", spoilt(started_at="2026-03-02T14:00:00.50Z"), zone=ZoneInfo("Europe/Berlin"))
    assert record["started_at"] == "2026-03-02T14:00:00.50Z"


def test_every_fault_is_told_at_once_schema_and_rules_together() -> None:
    record = spoilt(version="1", readings__4__heart_rate="70", drugs__1__id="01", follow_up__start="2020-01-01T00:00:00Z", visitor=1)
    assert set(refusal(record)) == {"version", "readings[4].heart_rate", "drugs[1].id", "follow_up.start", "visitor"}


def test_a_field_that_was_refused_is_not_called_missing_too() -> None:
    assert list(refusal(spoilt(ended_at="yesterday"))) == ["ended_at"]


def test_a_reference_to_a_row_whose_id_was_refused_is_not_blamed() -> None:
    assert list(refusal(spoilt(drugs__2__id="0/3"))) == ["drugs[2].id"]


def test_faults_never_repeat_the_value() -> None:
    secret = "Xyzzy-Secret"
    record = spoilt(
        id=f"{secret}/",
        patient__birth_date=secret,
        readings__0__heart_rate=secret,
        drugs__0__drug=secret,
        fluids__0__rate={"value": 1, "unit": secret},
    )
    assert len(refusal(record)) == 5
    assert not any(secret in message for message in refusal(record).values())


@pytest.mark.parametrize("document", [None, [], "session", 3, True])
def test_what_is_no_object_is_refused(document: Any) -> None:
    assert "object" in refusal(document)[""]
    with pytest.raises(Refused):
        records.kind_of(document)


def test_an_object_that_is_nothing_of_ours_has_no_kind() -> None:
    with pytest.raises(Refused, match="session, appointment, referral"):
        records.kind_of({"id": "x", "resourceType": "Patient"})


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(Refused, match="no such kind"):
        records.load("visit", session())


@pytest.mark.parametrize("status", ["scheduled", "arrived", "checked-in", "no-show"])
def test_a_session_that_did_not_begin_has_no_times_and_gives_no_drugs(status: str) -> None:
    faults = refusal(spoilt(status=status))
    assert {"started_at", "ended_at", "drugs[0].state", "fluids[0].state"} <= set(faults)


def test_a_session_not_started_may_have_readings_and_a_drug_not_given() -> None:
    record = session()
    drug = record["drugs"][2] | {"state": "not-given", "reason": "vitals-out-of-range"}
    kept = {name: record[name] for name in ("id", "patient", "planned", "readings")}
    assert records.load(
        "session", kept | {"status": "not-started", "status_reason": "vitals-out-of-range", "ended_at": record["ended_at"], "drugs": [drug]}
    )


def test_in_a_session_entered_in_error_everything_is() -> None:
    record = session() | {"status": "entered-in-error"}
    assert refusal(record)["readings[0].state"].startswith("must be entered-in-error")
    for name in ("readings", "symptoms", "drugs", "fluids"):
        for row in record[name]:
            del row["state"]
    loaded = records.load("session", record)
    assert {row["state"] for name in ("readings", "symptoms", "drugs", "fluids") for row in loaded[name]} == {"entered-in-error"}


def test_an_appointment_is_known_by_its_follow_up() -> None:
    appointment = documents.loads((CASES / "monitored-clinic-visit" / "appointment-1.json").read_bytes())
    assert records.load("appointment", appointment) == appointment
    assert (records.identity("appointment", appointment), records.version("appointment", appointment)) == ("A-MCV-1", 1)
    assert "not a field known here" in refusal(appointment | {"id": "A-MCV-1"}, kind="appointment")["id"]


REFERRAL = [
    ("declined without a reason", {"status": "declined"}, "status_reason", "required when status is declined"),
    ("a reason for an accepted referral", {"status": "accepted", "status_reason": "x"}, "status_reason", "leave it out"),
    ("received before it was made", {"requested_at": "2030-01-01T00:00:00Z"}, "received_at", "lies before requested_at"),
    ("no requester", {"requester": None}, "requester", "null"),
    ("an unknown state", {"status": "ended"}, "status", "not a word known here"),
]


@pytest.mark.parametrize(("change", "path", "message"), [row[1:] for row in REFERRAL], ids=[row[0] for row in REFERRAL])
def test_a_referral_that_cannot_be_is_refused(change: dict[str, Any], path: str, message: str) -> None:
    record = documents.loads((CASES / "referred-biologic" / "referral.json").read_bytes())
    record["referral"] |= change
    assert message in refusal(record, kind="referral")[f"referral.{path}"]


def test_an_allergy_of_a_session_entered_in_error_is_in_error_too() -> None:
    record = documents.loads((CASES / "monitored-clinic-visit" / "session-3-entered-in-error.json").read_bytes())
    record["allergies"][0]["certainty"] = "confirmed"
    assert "entered-in-error" in refusal(record)["allergies[0].certainty"]


def test_a_stay_does_not_end_before_its_series() -> None:
    record = documents.loads((CASES / "multi-day-series" / "session-4-inpatient.json").read_bytes())
    record["series"]["status"] = "active"
    assert "series that is active" in refusal(record)["series.stay.ended_at"]


SERIES = {
    "series.day": {"day": 5},
    "series.ended_on": {"ended_on": "2026-04-01"},
    "series.plan[0].day": {"plan": [{"day": "9", "appointment_id": "A-9", "status": "booked", "start": "2026-04-13T09:00:00Z", "end": "2026-04-13T10:00:00Z"}]},  # noqa: E501
    "started_at": {"stay": {"id": "H-1", "started_at": "2026-04-16T09:30:00-04:00", "ended_at": "2026-04-17T09:00:00-04:00"}},
    "series.stay.ended_at": {"status": "finished", "stay": {"id": "H-1", "started_at": "2026-04-13T07:00:00-04:00"}},
}  # fmt: skip


@pytest.mark.parametrize("path", SERIES)
def test_a_series_holds_together(path: str) -> None:
    record = documents.loads((CASES / "multi-day-series" / "session-4.json").read_bytes())
    record["series"] |= SERIES[path]
    assert list(refusal(record)) == [path]


def test_loading_does_not_touch_what_was_sent() -> None:
    sent = session()
    before = copy.deepcopy(sent)
    loaded = records.load("session", sent)
    loaded["patient"]["given_names"].append("Other")
    loaded["readings"][8]["blood_pressure"]["systolic"]["absent"] = "unknown"
    assert sent == before


RECORDS = sorted(
    path for path in CASES.rglob("*.json") if path.stem.split("-")[0] in records.KINDS and not path.name.endswith(".fhir.json")
)


@pytest.mark.parametrize("file", RECORDS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_case_is_written_in_normal_form(file: Path) -> None:
    record = documents.loads(file.read_bytes())
    kind = records.kind_of(record)
    assert kind == file.stem.split("-")[0]
    assert documents.pretty(records.load(kind, record)) + "\n" == file.read_text()
