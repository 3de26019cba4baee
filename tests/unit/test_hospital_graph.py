"""The references of a resource are what its Reference elements say, and nothing that a text says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.hospital.graph import references

TEXTS = st.text() | st.sampled_from(['"reference":"Patient/x"', '{"reference":"Patient/x"}', '\\"reference":"Patient/x"', "Patient/x"])
NAMED = st.sampled_from(["Patient/a", "Encounter/b-1", "urn:uuid:1", "#c", "https://hospital.example/Patient/a"])
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.builds(lambda name: {"reference": name}, NAMED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(lambda name: name != "reference"), inner, max_size=3),
    max_leaves=10,
)


def walked(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for inner in value for found in walked(inner)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return own + [found for inner in value.values() for found in walked(inner)]


@given(st.dictionaries(st.sampled_from(["subject", "note", "participant"]), VALUES))
def test_they_are_found_wherever_they_stand_and_nowhere_else(elements: dict[str, Any]) -> None:
    expected = [found for found in walked(elements) if found in ("Patient/a", "Encounter/b-1")]
    assert references({"resourceType": "Observation", **elements}) == expected


@pytest.mark.parametrize("reference", ["Patient/a", "MedicationAdministration/6f2e.1-x"])
def test_one_that_is_said_twice_is_told_twice(reference: str) -> None:
    assert references({"subject": {"reference": reference}, "basedOn": [{"reference": reference}]}) == [reference, reference]
