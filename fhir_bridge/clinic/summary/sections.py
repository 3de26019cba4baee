"""What there is to say of a session, in words: the first line, and titled sections. The text has them all, the page the most urgent."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_bridge.clinic.summary import given, vitals
from fhir_bridge.clinic.summary.wording import ACTIONS, Clock, Names, clock_of, sentence, words

Record = Mapping[str, Any]

_STATUS = {
    "scheduled": "PLANNED: the session has not begun",
    "arrived": "ARRIVED: the patient is here, the session has not begun",
    "checked-in": "CHECKED IN: the patient is here, the session has not begun",
    "in-progress": "STILL RUNNING: what follows is not complete",
    "paused": "PAUSED: what follows is not complete",
    "completed": "COMPLETED",
    "stopped": "STOPPED EARLY",
    "not-started": "NOT STARTED: no infusion was given",
    "cancelled": "CANCELLED: no infusion was given",
    "no-show": "NO-SHOW: the patient did not come, no infusion was given",
    "entered-in-error": "ENTERED IN ERROR: this session must not be relied on; what was recorded is not shown",
}
_FOLLOW_UP = {"no-show": "missed by the patient", "waitlisted": "on the waiting list"}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a table whose first row names the columns, and lines; a line may be a paragraph."""

    title: str
    lines: tuple[str, ...]
    table: tuple[tuple[str, ...], ...] = ()


def status(record: Record) -> str:
    """How the session stands, in plain words, with the reason: what must be read first."""
    reason = f" - {words(record['status_reason'])}" if "status_reason" in record else ""
    return f"{_STATUS.get(record['status'], words(record['status']).upper())}{reason}"


def when(record: Record, clock: Clock) -> str:
    """The session's day and times, and where it was: "2026-05-12, 09:30-12:35 (UTC-04:00), clinic"."""
    planned = record.get("planned")
    day = f"{clock.day.isoformat()}, " if clock.day else ""
    if "started_at" in record:
        said = clock.span(record)
    else:
        said = f"planned for {clock.span(planned, 'start', 'end')}" if planned else "no time recorded"
    offset = f" ({clock.offset()})" if clock.zone else ""
    return f"{day}{said}{offset}, {record.get('care_setting', 'clinic')}"


def patient(record: Record) -> str:
    """Name, sex, date of birth and numbers, in one line."""
    who = record["patient"]
    name = f"{who['family_name']}, {' '.join(who['given_names'])}" if who.get("given_names") else who["family_name"]
    numbers = "; ".join([f"clinic number {who['id']}", *(f"hospital number {each['value']}" for each in who.get("hospital_numbers", ()))])
    return f"{name}; {who['sex']}; born {who['birth_date']}; {numbers}"


def sections(record: Record, names: Names) -> list[Section]:
    """Every section that has something to say, in the order of a handover; nothing but the correction for a session in error."""
    clock = clock_of(record)
    makers = _ALL if record["status"] != "entered-in-error" else {"Correction": _correction}
    found = (Section(title, tuple(make(record, clock, names)), _table(title, record, clock)) for title, make in makers.items())
    return [section for section in found if section.lines or section.table]


def reactions(record: Record, clock: Clock, names: Names) -> Iterator[str]:
    """What was not wanted and what was done about it."""
    drugs = given.called(record, names)
    for one in record.get("reactions", ()):
        rescue = [drugs[drug["id"]] for drug in record.get("drugs", ()) if drug.get("for_reaction") == one["id"]]
        parts = (
            sentence(words(one["reaction"])),
            "SERIOUS" if one.get("seriousness", "non-serious") != "non-serious" else "",
            one.get("severity", ""),
            f"outcome {one['outcome']}" if one.get("outcome") == "unknown" else one.get("outcome", ""),
            f"suspected: {drugs.get(one['suspected_drug'], one['suspected_drug'])}" if "suspected_drug" in one else "",
            ACTIONS.get(one.get("action", ""), "") if not (rescue and one.get("action") == "rescue-drug") else "",
            f"given for it: {', '.join(rescue)}" if rescue else "",
            f"reported {clock.time(one['reported_at'])}" if "reported_at" in one else "",
        )
        said = ", ".join(part for part in parts if part)
        yield f"{clock.span(one)}  {said}{_more(one, 'note')}"


def _more(part: Record, field: str, said: str = "") -> str:
    """What a person added in their own words, as a sentence of its own."""
    return f". {said}{part[field]}" if field in part else ""


def _correction(record: Record, clock: Clock, _names: Names) -> Iterator[str]:
    if "correction" in record:
        yield f"Version {record['version']}, corrected {clock.time(record['correction']['at'])}: {record['correction']['reason']}"


def _indication(record: Record, _clock: Clock, names: Names) -> Iterator[str]:
    if indication := record.get("indication"):
        yield f"{sentence(names('conditions', indication['condition']))}{_more(indication, 'note')}"
    if days := record.get("headache_days"):
        yield f"Headache on {days['days']} days between {days['from']} and {days['to']}"
    if overused := record.get("overused_drugs"):
        yield "Overused: " + "; ".join(f"{names('drugs', one['drug'])} on {one['days_per_month']} days a month" for one in overused)
    if referral := record.get("referral"):
        yield f"Answers referral {referral['id']}"


def _vitals(record: Record, clock: Clock, _names: Names) -> Iterator[str]:
    readings = record.get("readings", [])
    found = vitals.courses(readings)
    yield from (f"Not measured - {line[:1].lower()}{line[1:]}" for line in vitals.absences(found, clock))
    if wrong := vitals.in_error(readings):
        yield f"{wrong} entered in error and not shown"
    if not readings and "started_at" in record:
        yield "No vital signs were recorded"


def _table(title: str, record: Record, clock: Clock) -> tuple[tuple[str, ...], ...]:
    found = vitals.courses(record.get("readings", [])) if title == "Vital signs" else ()
    return (("", "first", "lowest", "highest", "last", "taken"), *(course.row(clock) for course in found)) if found else ()


def _symptoms(record: Record, clock: Clock, _names: Names) -> Iterator[str]:
    symptoms = record.get("symptoms", [])
    yield from (f"{course.label} ({course.unit}): {vitals.score(course, clock)}" for course in vitals.courses(symptoms))
    if wrong := vitals.in_error(symptoms):
        yield f"{wrong} entered in error and not shown"


def _allergies(record: Record, clock: Clock, names: Names) -> Iterator[str]:
    for one in record.get("allergies", ()):
        how = f", shown as {words(one['reaction'])}" if "reaction" in one else ""
        danger = f", {one['criticality']} criticality" if "criticality" in one else ""
        said = f"{sentence(names('drugs', one['drug']))}: {one['kind']}, {words(one['certainty'])}{danger}{how}"
        yield f"{said}; asserted {clock.time(one['recorded_at'])}"


def _outcome(record: Record, _clock: Clock, _names: Names) -> Iterator[str]:
    if "outcome" in record:
        yield record["outcome"]["text"]


def _series(record: Record, clock: Clock, _names: Names) -> Iterator[str]:
    if series := record.get("series"):
        yield f"Day {series['day']} of {series['days']}, series {words(series['status'])}{_more(series, 'goal', 'Goal: ')}"
        days = (f"day {day['day']} {clock.time(day['start'])} {words(day['status'])}" for day in _in_order(series.get("plan", ())))
        if said := ", ".join(days):
            yield sentence(said)


def _in_order(plan: Any) -> list[Any]:
    return sorted(plan, key=lambda day: int(day["day"]))


def _instructions(record: Record, _clock: Clock, _names: Names) -> Iterator[str]:
    yield from (f"{one['text']}" for one in record.get("instructions", ()))


def _follow_up(record: Record, clock: Clock, _names: Names) -> Iterator[str]:
    if one := record.get("follow_up"):
        at = f" {clock.span(one, 'start', 'end')}" if "start" in one else ""
        by = f", by the {one['reason']}" if one.get("reason") in ("patient", "clinic") else ""
        yield f"{sentence(_FOLLOW_UP.get(one['status'], words(one['status'])))}{at}{by}"


def _people(record: Record, _clock: Clock, _names: Names) -> Iterator[str]:
    if one := record.get("companion"):
        said = words(one["relationship"])
        yield f"Accompanied by {one['name']} ({said})" if "name" in one else f"Accompanied by: {said}"
    if one := record.get("performer"):
        yield f"Infusion by {one['name']}"


_ALL: dict[str, Callable[[Record, Clock, Names], Iterator[str]]] = {
    "Correction": _correction,
    "Why": _indication,
    "Given": given.lines,
    "Reactions": reactions,
    "Allergies asserted": _allergies,
    "Pain and nausea": _symptoms,
    "Vital signs": _vitals,
    "Outcome": _outcome,
    "Follow-up": _follow_up,
    "The patient was told": _instructions,
    "Series": _series,
    "People": _people,
}
