"""The real server of the tests is what it says, and its validator finds what it must find."""

from typing import Any

import pytest
import requests
from servers import validate

HEART_RATE = "http://hl7.org/fhir/StructureDefinition/heartrate"
BLOOD_PRESSURE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"
PATIENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"


def heart_rate(unit: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"display": "Invented, Ada"},
        "effectiveDateTime": "2026-03-02T09:00:00-05:00",
        "valueQuantity": {"value": 72, "unit": "/min", "system": "http://unitsofmeasure.org", "code": unit},
    }


def test_the_server_is_hapi_8_8_with_fhir_r4(hapi: str):
    statement = requests.get(f"{hapi}/metadata", timeout=60).json()
    assert statement["software"] == {"name": "HAPI FHIR Server", "version": "8.8.0"}
    assert statement["fhirVersion"] == "4.0.1"


def test_a_good_heart_rate_has_no_error(hapi: str):
    assert validate(hapi, heart_rate("/min"), HEART_RATE) == []


@pytest.mark.parametrize(("defect", "told"), [("kg", "/min"), ("bpm", "bpm")])
def test_a_wrong_unit_is_told_though_the_status_is_200(hapi: str, defect: str, told: str):
    assert any(told in error for error in validate(hapi, heart_rate(defect), HEART_RATE))


def test_a_profile_that_is_not_named_is_not_applied(hapi: str):
    without_time = {name: value for name, value in heart_rate("/min").items() if name != "effectiveDateTime"}
    assert validate(hapi, without_time) == []
    assert any("effective" in error for error in validate(hapi, without_time, HEART_RATE))


def test_us_core_profiles_are_known(us_core: str):
    patient = {"resourceType": "Patient", "name": [{"family": "Invented", "given": ["Ada"]}]}
    whole = patient | {"gender": "female", "identifier": [{"system": "https://clinic.example/patient", "value": "P-1"}]}
    assert validate(us_core, whole, PATIENT) == []
    assert len(validate(us_core, patient, PATIENT)) == 2
    assert validate(us_core, heart_rate("/min"), BLOOD_PRESSURE) != []
