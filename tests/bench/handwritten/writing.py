"""A clinic record as the transaction Bundle it becomes, the way an engineer writes it without a mapping engine."""

from collections.abc import Iterator

from . import write_course as course
from . import write_observations as observations
from . import write_people as people
from . import write_treatment as treatment
from .names import PATIENT, Names, Record, Resource, names_of, uid


def bundle(record: Record) -> Resource:
    """A transaction that puts each resource under its own id."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}
            for resource in resources(record)
        ],
    }


def resources(record: Record) -> list[Resource]:
    """In the order of the templates, so that the two can be compared as they stand."""
    if "status" not in record:  # an appointment on its own
        patient = uid(PATIENT, record["patient"]["id"])
        return [course.follow_up(record, patient), people.patient(record["patient"], patient)]
    names = names_of(record)
    return [*_given(record, names), *_known(record, names), *_day(record, names), *_course(record, names), *_measured(record, names)]


def _given(record: Record, names: Names) -> Iterator[Resource]:
    for drug in record.get("drugs", ()):
        for step in drug["steps"]:
            yield treatment.administration(drug, step, names)
    for allergy in record.get("allergies", ()):
        yield people.allergy(allergy, names)
    for reading in record.get("readings", ()):
        if "blood_pressure" in reading:
            yield observations.blood_pressure(reading, names)


def _known(record: Record, names: Names) -> Iterator[Resource]:
    if "series" in record:
        yield course.care_plan(record["series"], names)
    if "companion" in record:
        yield people.companion(record["companion"], names)
    if "correction" in record:
        yield course.correction(record["correction"], names)
    yield course.encounter(record, names)
    if "series" in record:
        yield course.episode(record, names)
    for fluid in record.get("fluids", ()):
        yield treatment.fluid(fluid, names)


def _day(record: Record, names: Names) -> Iterator[Resource]:
    if "follow_up" in record:
        yield course.follow_up(record, names.patient)
    if "headache_days" in record:
        yield observations.headache_days(record, names)
    if "indication" in record:
        yield people.indication(record, names)
    if "instructions" in record:
        yield course.instructions(record, names)
    if "outcome" in record:
        yield observations.outcome(record, names)
    if "overused_drugs" in record:
        yield people.overuse_condition(record, names)
        yield observations.overuse(record, names)
    for reading in record.get("readings", ()):
        if "oxygen_saturation" in reading:
            yield observations.oxygen_saturation(reading, names)
    yield people.patient(record["patient"], names.patient)


def _course(record: Record, names: Names) -> Iterator[Resource]:
    if "planned" in record:
        yield course.planned_appointment(record, names)
    if names.procedure:
        yield treatment.procedure(record, names)
    if "recorded_at" in record:
        yield course.provenance(record, names)
    for reaction in record.get("reactions", ()):
        yield treatment.reaction_condition(record, reaction, names)
    for reaction in record.get("reactions", ()):
        yield treatment.reaction(reaction, names)
    if "series" in record:
        for day in record["series"].get("plan", ()):
            yield course.series_appointment(day, names)
        if "stay" in record["series"]:
            yield course.stay(record["series"], names)
    if "summary" in record:
        yield course.summary(record, names)


def _measured(record: Record, names: Names) -> Iterator[Resource]:
    for field in observations.SCORES:
        for symptom in record.get("symptoms", ()):
            if field in symptom:
                yield observations.score(field, symptom, names)
    for field in observations.VITALS:
        for reading in record.get("readings", ()):
            if field in reading:
                yield observations.vital(field, reading, names)
