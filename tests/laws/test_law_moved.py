"""A record that moves to another patient: a session posted under the wrong one, corrected. Nothing may stay with the first."""

from copy import deepcopy

import pytest
from law_cases import ROOT, SHIPPED, story

CASE = ROOT / "fixtures" / "cases"
STORIES = ("monitored-clinic-visit/session-1", "multi-day-series/session-2", "referred-biologic/session-1")


@pytest.mark.parametrize("case", STORIES)
def test_a_session_moved_to_another_patient_leaves_nothing_with_the_first(case: str):
    record = story(CASE / f"{case}.json")
    before = SHIPPED.to_fhir(record).resources
    first = next(resource for resource in before if resource["resourceType"] == "Patient")
    moved = deepcopy(record) | {"patient": {"id": "P-OTHER", "family_name": "Synthetic-Other", "given_names": ["Mock"], "sex": "other"}}
    written = SHIPPED.to_fhir(moved, onto=before)
    second = next(resource for resource in written.resources if resource["resourceType"] == "Patient")
    assert second["id"] != first["id"]
    assert second["name"] == [{"family": "Synthetic-Other", "given": ["Mock"]}]
    assert f"Patient/{first['id']}" not in repr(written.resources)
    assert first in written.retracted
    assert SHIPPED.from_fhir(written.resources).record["patient"] == moved["patient"]


def test_a_reference_that_the_hospital_changed_stays():
    before = SHIPPED.to_fhir(story(CASE / f"{STORIES[0]}.json")).resources
    merged = [resource | {"subject": {"reference": "Patient/merged-1"}} if "subject" in resource else resource for resource in before]
    written = SHIPPED.to_fhir(story(CASE / f"{STORIES[0]}.json"), onto=merged).resources
    assert {resource["subject"]["reference"] for resource in written if "subject" in resource} == {"Patient/merged-1"}
