"""A session's Bundle as the clinic record it came from, read without a mapping engine: what is not ours is refused."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from . import read_course as course
from . import read_observations as observations
from . import read_people as people
from . import read_treatment as treatment
from .names import SYSTEM, Record, Resource
from .reader import Session, Stranger, expect

Kind = tuple[str, str]


def _follow_up(one: Resource, session: Session) -> None:
    expect(course.session_of(one) is None)
    session.record["follow_up"] = course.follow_up(one, session.subject)


def _already(one: Resource, session: Session) -> None:
    """The patient and the Encounter are read before all others; the summary only repeats them."""


READERS: dict[Kind, Callable[[Resource, Session], None]] = {
    ("Patient", "patient"): _already,
    ("Encounter", "session"): _already,
    ("Encounter", "stay"): course.stay,
    ("Observation", "vital"): observations.vital,
    ("Observation", "score"): observations.score,
    ("Observation", "headache-days"): observations.headache_days,
    ("Observation", "outcome"): observations.outcome,
    ("Observation", "overuse"): observations.overuse,
    ("Condition", "indication"): people.indication,
    ("Condition", "overuse"): people.overuse_condition,
    ("Condition", "reaction"): treatment.reaction_condition,
    ("AdverseEvent", "reaction"): treatment.reaction,
    ("AllergyIntolerance", "allergy"): people.allergy,
    ("RelatedPerson", "companion"): people.companion,
    ("Procedure", "infusion"): treatment.procedure,
    ("MedicationAdministration", "administration"): treatment.administration,
    ("MedicationAdministration", "drug"): treatment.fluid,
    ("Appointment", "planned"): course.planned_appointment,
    ("Appointment", "appointment"): _follow_up,
    ("Appointment", "series-appointment"): course.series_appointment,
    ("EpisodeOfCare", "series"): course.episode,
    ("CarePlan", "series"): course.care_plan,
    ("Provenance", ""): course.provenance,
    ("Communication", "instructions"): course.instructions,
    ("DocumentReference", "summary"): _already,
}
_PREFIX = f"{SYSTEM}/"


def record(resources: Iterable[Resource]) -> Record:
    """Raises `Stranger` unless the resources are, each in every place, what this clinic writes of one session or appointment."""
    try:
        return _record([(_kind(one), one) for one in resources])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Stranger from error


def _kind(one: Resource) -> Kind:
    kind, identifiers = one["resourceType"], one.get("identifier")
    if kind == "Patient" or identifiers is None:
        return kind, "patient" if kind == "Patient" else ""
    first = identifiers if isinstance(identifiers, dict) else identifiers[0]
    return kind, first["system"].removeprefix(_PREFIX)


def _record(found: list[tuple[Kind, Resource]]) -> Record:
    single = dict(found)
    subject, patient = _to(single["Patient", "patient"]), people.patient(single["Patient", "patient"])
    if ("Encounter", "session") not in single:
        expect(len(found) == 2)
        one = single["Appointment", "appointment"]
        record, of = {"patient": patient, "follow_up": course.follow_up(one, subject)}, course.session_of(one)
        return record | {"session": of} if of else record
    day = single["Encounter", "session"]
    indication = _to(single["Condition", "indication"]) if ("Condition", "indication") in single else None
    procedure = _to(single["Procedure", "infusion"]) if ("Procedure", "infusion") in single else None
    id = day["identifier"][0]["value"]
    session = Session(id, subject, _to(day), indication, procedure, {"id": id, "patient": patient})
    course.encounter(day, session)
    for kind, one in found:
        READERS[kind](one, session)
    return _finished(day, session)


def _to(one: Resource) -> Record:
    return {"reference": f"{one['resourceType']}/{one['id']}"}


def _finished(day: Resource, session: Session) -> Record:
    record = session.record
    if "series" in record:
        course.series_whole(session)
    course.whole(day, session)
    for name, rows in (("readings", session.readings), ("symptoms", session.symptoms)):
        if rows:
            record[name] = sorted(rows.values(), key=lambda row: datetime.fromisoformat(row["taken_at"]))
    if session.drugs:
        record["drugs"] = _by_id(session.drugs.values())
        for drug in record["drugs"]:
            drug["steps"].sort(key=lambda step: datetime.fromisoformat(step["started_at"]))
    if session.reactions:
        record["reactions"] = _by_id(session.reactions.values())
    for name in ("fluids", "allergies"):
        if name in record:
            record[name] = _by_id(record[name])
    return record


def _by_id(rows: Iterable[dict[str, Any]]) -> list[Record]:
    return sorted(rows, key=lambda row: str(row["id"]))
