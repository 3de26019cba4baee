"""However others refer to their patient, and whatever release they write: nobody's resource is merged into somebody else's record."""

from importlib import import_module
from typing import Any

import pytest
from foreign import NINE, back, bundle, heart_rate, measured, patient, refused

from fhir_bridge.fhir import elements, release
from fhir_bridge.mapping.parts import leaves

# --- references --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reference"),
    [
        ("urn:uuid:7a1d0b6e-0000-4000-8000-000000000001", "urn:uuid:7a1d0b6e-0000-4000-8000-000000000001"),
        ("https://ehr.example/fhir/Patient/p", "https://ehr.example/fhir/Patient/p"),
        ("https://ehr.example/fhir/Patient/p", "Patient/p"),
        ("https://ehr.example/fhir/Patient/p", "Patient/p/_history/3"),
    ],
)
def test_however_a_bundle_names_its_patient_the_measurement_is_that_patients(address: str, reference: str) -> None:
    found = back(bundle((address, patient()), ("https://ehr.example/fhir/Observation/1", heart_rate(subject={"reference": reference}))))
    assert found.record["patient"]["family_name"] == "Synthetic"
    assert found.record["readings"][0]["heart_rate"] == 72


def test_a_patient_without_an_id_is_known_by_the_address_of_its_entry() -> None:
    anonymous = {name: value for name, value in patient().items() if name != "id"}
    mine = heart_rate(subject={"reference": "urn:uuid:1"})
    other = measured("8310-5", 39, "Cel") | {"subject": {"reference": "urn:uuid:2"}}
    found = back(bundle(("urn:uuid:1", anonymous), ("urn:uuid:3", mine), ("urn:uuid:4", other)))
    assert found.record["readings"] == [{"taken_at": NINE, "state": "recorded", "heart_rate": 72}]
    assert any(line.startswith("Bundle.entry[2].resource.ofType(Observation): refers to another patient") for line in found.residue)


def test_the_same_number_at_another_server_is_another_patient() -> None:
    other = heart_rate(subject={"reference": "https://other.example/fhir/Patient/p"})
    found = back(bundle(("https://ehr.example/fhir/Patient/p", patient()), ("https://ehr.example/fhir/Observation/1", other)))
    assert "readings" not in found.record


def test_a_logical_reference_finds_its_patient_in_the_bundle_and_no_other() -> None:
    number = {"system": "urn:oid:2.999.1", "value": "SYN-1"}
    mine, other = heart_rate(subject={"identifier": number}), heart_rate(subject={"identifier": number | {"value": "SYN-2"}})
    own = ("urn:uuid:1", patient(identifier=[number]))
    assert back(bundle(own, ("urn:uuid:2", mine))).record["readings"]
    assert "readings" not in back(bundle(own, ("urn:uuid:2", other))).record


@pytest.mark.parametrize("subject", [{"display": "Somebody"}, {"identifier": {"value": "7"}}, {}])
def test_a_reference_in_words_alone_is_named_as_not_read(subject: dict[str, Any]) -> None:
    found = back(heart_rate(subject=subject))
    assert len(found.residue) == len(list(leaves(subject)))


def test_a_contained_patient_stays_inside_and_never_becomes_anothers() -> None:
    inside = heart_rate(contained=[patient()], subject={"reference": "#p"})
    found = back(inside)
    assert "patient" not in found.record
    assert any(line.startswith("Observation.contained[0].name") for line in found.residue)
    warm = measured("8310-5", 39, "Cel") | {"contained": [patient()], "subject": {"reference": "#p"}}
    assert back(inside, warm).record["readings"] == [{"taken_at": NINE, "state": "recorded", "heart_rate": 72}]


def test_the_residue_of_a_bundle_says_in_which_entry_it_stands() -> None:
    found = back(bundle(("urn:uuid:1", patient()), ("urn:uuid:2", heart_rate(subject={"reference": "urn:uuid:1"}, note=[{"text": "x"}]))))
    assert found.residue == ("Bundle.entry[1].resource.ofType(Observation).note[0].text: nothing speaks of it",)


# --- other releases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "path", "named"),
    [
        ({"resourceType": "MedicationOrder"}, "MedicationOrder", "DSTU2"),
        (heart_rate(comments="x"), "Observation.comments", "DSTU2"),
        ({"resourceType": "Encounter", "status": "finished", "class": "outpatient"}, "Encounter.class", "DSTU2"),
        (heart_rate(comment="x"), "Observation.comment", "STU3"),
        ({"resourceType": "Condition", "clinicalStatus": "active"}, "Condition.clinicalStatus", "DSTU2 or STU3"),
        (heart_rate(meta={"profile": ["http://hl7.org/fhir/3.0/StructureDefinition/vitalsigns"]}), "Observation.meta.profile", "STU3"),
        (heart_rate(meta={"profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns|4.3.0"]}), "Observation.meta.profile", "R4B"),
        ({"resourceType": "Encounter", "status": "completed", "actualPeriod": {}}, "Encounter.actualPeriod", "R5"),
        ({"resourceType": "Procedure", "status": "completed", "occurrenceDateTime": NINE}, "Procedure.occurrenceDateTime", "R5"),
        ({"resourceType": "MedicationAdministration", "medication": {}}, "MedicationAdministration.medication", "R5"),
        ({"resourceType": "Transport"}, "Transport", "R5"),
    ],
)
def test_another_release_is_refused_and_named(resource: dict[str, Any], path: str, named: str) -> None:
    assert refused(resource) == [f"{path}: is FHIR {named}, which R4 reads differently; send it as R4"]


def test_nothing_that_r4_has_tells_another_release() -> None:
    told = [f"{kind}.{name}" for tells in release.TELLS.values() for kind, names in tells.items() for name in names.split()]
    assert [path for path in told if elements.type_of(path)] == []


@pytest.mark.parametrize(("named", "package"), [("STU3", "fhir.resources.STU3"), ("R5", "fhir.resources")])
@pytest.mark.filterwarnings("ignore")
def test_what_tells_a_release_is_an_element_of_its_models(named: str, package: str) -> None:
    for kind, names in release.TELLS[named].items():
        model = getattr(import_module(f"{package}.{kind.lower()}"), kind)
        known = {field.alias or name for name, field in model.model_fields.items()}
        assert set(names.split()) <= known, kind


def test_a_profile_of_r4_tells_nothing() -> None:
    profiles = [
        "http://hl7.org/fhir/StructureDefinition/vitalsigns|4.0.1",
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-bmi|6.1.0",
    ]
    assert back(heart_rate(meta={"profile": profiles})).record["readings"]
