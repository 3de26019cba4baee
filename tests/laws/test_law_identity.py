"""Identifiers are stable, differ between resources, and tell nobody who the patient is."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from law_cases import CASES, SESSIONS, Record, Resource, every_story, law, leaves, resources, story

UUID5 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
OURS = "https://clinic.example/id/"


def names(found: list[Resource]) -> set[str]:
    return {f"{one['resourceType']}/{one['id']}" for one in found}


def marks(found: list[Resource]) -> list[str]:
    """What others may come to see of a resource without reading it: its id, our identifiers, the references to it."""
    ours = [part["value"] for one in found for part in identifiers(one) if part.get("system", "").startswith(OURS)]
    references = [str(value) for path, value in leaves(found) if path[-1] == "reference"]
    return [*(one["id"] for one in found), *ours, *references]


def identifiers(value: Any) -> list[dict[str, str]]:
    """Every Identifier, also those inside references."""
    if isinstance(value, list):
        return [part for item in value for part in identifiers(item)]
    if not isinstance(value, dict):
        return []
    here = [value] if {"system", "value"} <= value.keys() and isinstance(value["value"], str) else []
    return here + [part for item in value.values() for part in identifiers(item)]


def corrected(record: Record) -> Record:
    """The next version of a session: every measured value, dose and note is another; what happened when is not."""
    after = deepcopy(record)
    after["version"] += 1
    after["care_setting"] = "home" if record["care_setting"] != "home" else "clinic"
    after["patient"] |= {"family_name": "Corrected-Name", "birth_date": "1970-01-01", "phone": "555-0199"}
    for reading in after.get("readings", []):
        reading |= {name: 1 for name in reading if name in ("heart_rate", "weight", "temperature")}
    for drug in after.get("drugs", []):
        drug["route"] = "oral"
    return after


@law(record=SESSIONS)
def test_the_same_record_gives_the_same_ids_and_they_are_uuids(record: Record):
    first, again = names(resources(record)), names(resources(deepcopy(record)))
    assert first == again
    assert [name for name in first if not UUID5.fullmatch(name.partition("/")[2])] == []


@law(record=SESSIONS)
def test_a_corrected_version_keeps_every_id(record: Record):
    assert names(resources(corrected(record))) == names(resources(record))


@law(record=SESSIONS)
def test_no_two_resources_of_a_record_share_an_id_even_across_types(record: Record):
    ids = [one["id"] for one in resources(record)]
    assert len(ids) == len(set(ids))


@law(record=SESSIONS)
def test_every_reference_within_the_record_leads_to_a_resource_of_it(record: Record):
    found = resources(record)
    pointed = {str(value) for path, value in leaves(found) if path[-1] == "reference" and not str(value).startswith("#")}
    assert pointed <= names(found)


@every_story
def test_no_mark_of_a_resource_tells_who_the_patient_is(case: Path):
    record = story(case)
    patient = record["patient"]
    private = [patient["family_name"], *patient["given_names"], patient["birth_date"], patient.get("phone"), patient.get("email")]
    private += [number["value"] for number in patient.get("hospital_numbers", [])]
    seen = marks(resources(record))
    assert len(seen) > 3
    assert [secret for secret in private if secret for mark in seen if secret in mark] == []


@law(record=SESSIONS)
def test_no_mark_depends_on_who_the_patient_is(record: Record):
    other = deepcopy(record)
    other["patient"] = {"id": record["patient"]["id"], "family_name": "Other", "given_names": ["Else"], "sex": "unknown"}
    assert [mark for mark in marks(resources(other)) if mark not in marks(resources(record))] == []


def test_the_stories_share_ids_only_where_they_share_the_thing():
    """Sessions of one patient refer to one Patient; no session's own resource is another's."""
    encounters = [f"Encounter/{one['id']}" for case in CASES for one in resources(story(case)) if "session" in str(identifiers(one))]
    assert len(encounters) > 5
    patients = {story(case)["patient"]["id"] for case in CASES}
    assert len({one["id"] for case in CASES for one in resources(story(case)) if one["resourceType"] == "Patient"}) == len(patients)
