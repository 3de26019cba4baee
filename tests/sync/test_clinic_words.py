"""Who posts a record is told its own fields, whatever it was that could not be sent."""

from typing import Any

import pytest
from ward import CASES

from fhir_bridge import bootstrap, documents
from fhir_bridge.clinic import records
from fhir_bridge.errors import Refused
from fhir_bridge.mapping import Mapping, Written
from fhir_bridge.settings import Settings
from fhir_bridge.sync.clinic_words import checked


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return bootstrap.site(Settings(), "default").mapping


@pytest.fixture
def written(mapping: Mapping) -> Written:
    session = documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes())
    return mapping.to_fhir(records.load("session", session, zone=None))


def test_what_is_fit_is_handed_on(mapping: Mapping, written: Written) -> None:
    assert checked(mapping, written) is written


def test_a_fault_names_the_fields_that_stand_at_its_path(mapping: Mapping, written: Written) -> None:
    _one(written, "Encounter")["period"]["start"] = "2030-01-01T00:00:00Z"
    with pytest.raises(Refused) as refused:
        checked(mapping, written)
    (fault,) = refused.value.faults
    assert fault.path == "started_at and ended_at"
    assert fault.message.endswith("it becomes Encounter.period")


def test_a_fault_of_what_no_field_says_keeps_its_path(mapping: Mapping, written: Written) -> None:
    _one(written, "Encounter")["unheard"] = "of"
    with pytest.raises(Refused) as refused:
        checked(mapping, written)
    assert [fault.path for fault in refused.value.faults] == ["Encounter.unheard"]


def _one(written: Written, kind: str) -> dict[str, Any]:
    return next(resource for resource in written.resources if resource["resourceType"] == kind)
