"""Everything the shipped templates write is valid to HAPI, base R4 and the vital-signs profiles, stored at once, and read back the same."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
from servers import validate

from fhir_bridge import bootstrap, documents
from fhir_bridge.clinic import records
from fhir_bridge.fhir import bundle
from fhir_bridge.mapping import Mapping
from fhir_bridge.settings import Settings, Site
from fhir_bridge.sync.convert import map_record

CASES = Path(__file__).parent.parent.parent / "fixtures" / "cases"
PROFILE = "http://hl7.org/fhir/StructureDefinition"
VITAL_SIGNS = {
    "85354-9": "bp",
    "8867-4": "heartrate",
    "9279-1": "resprate",
    "2708-6": "oxygensat",
    "8310-5": "bodytemp",
    "29463-7": "bodyweight",
    "8302-2": "bodyheight",
}
FILES = sorted(path for path in CASES.glob("*/*.json") if not path.name.endswith(".fhir.json"))
every_case = pytest.mark.parametrize("case", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return bootstrap.site(Settings(sites=MappingProxyType({"north": Site("north")})), "north").mapping


def resources_of(mapping: Mapping, case: Path) -> list[dict[str, Any]]:
    return bundle.resources(map_record(mapping, documents.loads(case.read_bytes()), zone=None))


def sent(base_url: str, asked: dict[str, Any]) -> dict[str, Any]:
    reply = requests.post(base_url, data=documents.dumps(asked), headers={"Content-Type": "application/fhir+json"}, timeout=60)
    assert reply.status_code == 200, reply.text
    return documents.loads(reply.content)


def reads_of(transaction: dict[str, Any]) -> dict[str, Any]:
    """One batch that reads everything a transaction of PUTs has written."""
    reads = [{"request": {"method": "GET", "url": entry["request"]["url"]}} for entry in transaction["entry"]]
    return {"resourceType": "Bundle", "type": "batch", "entry": reads}


def profiles_of(resource: dict[str, Any]) -> list[str]:
    """The vital-signs profiles that apply by the code; a server does not apply them unasked."""
    codes = {coding.get("code") for coding in resource.get("code", {}).get("coding", [])}
    return [f"{PROFILE}/{name}" for code, name in VITAL_SIGNS.items() if resource["resourceType"] == "Observation" and code in codes]


def collected(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """All of them in one Bundle, which is validated far faster than one by one; each names the profiles it is held to."""
    entries = [
        {
            "fullUrl": f"https://clinic.example/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource
            | ({"meta": resource.get("meta", {}) | {"profile": profiles}} if (profiles := profiles_of(resource)) else {}),
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@every_case
def test_hapi_finds_no_error_in_what_a_record_becomes(hapi: str, mapping: Mapping, case: Path):
    assert validate(hapi, collected(resources_of(mapping, case))) == []


def test_a_wrong_unit_deep_in_a_session_is_found(hapi: str, mapping: Mapping):
    found = resources_of(mapping, CASES / "monitored-clinic-visit" / "session-1.json")
    pulse = next(resource for resource in found if f"{PROFILE}/heartrate" in profiles_of(resource))
    pulse["valueQuantity"] = pulse["valueQuantity"] | {"code": "kg"}
    assert any("heartrate" in error for error in validate(hapi, collected(found)))


@every_case
def test_hapi_stores_a_record_at_once_and_gives_the_same_back(hapi: str, mapping: Mapping, case: Path):
    asked = map_record(mapping, documents.loads(case.read_bytes()), zone=None)
    assert len(sent(hapi, asked)["entry"]) == len(asked["entry"])
    stored = bundle.resources(sent(hapi, reads_of(asked)))
    record = documents.loads(case.read_bytes())
    assert mapping.from_fhir(stored).record == records.load(records.kind_of(record), record, zone=None)


@every_case
def test_the_patient_and_the_blood_pressures_are_valid_to_us_core(us_core: str, mapping: Mapping, case: Path):
    core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
    found = resources_of(mapping, case)
    (patient,) = (resource for resource in found if resource["resourceType"] == "Patient")
    pressures = [resource for resource in found if f"{PROFILE}/bp" in profiles_of(resource)]
    assert validate(us_core, patient, f"{core}patient") == []
    assert [validate(us_core, pressure, f"{core}blood-pressure") for pressure in pressures] == [[]] * len(pressures)
