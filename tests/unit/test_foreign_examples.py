"""US-Core-like shapes, odd shapes and all official examples: no traceback, and no leaf that is lost in silence."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from foreign import LOINC, NINE, ROOT, UCUM, back, bundle, heart_rate, patient, site

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.fhir import bundle as bundles
from fhir_bridge.mapping.parts import leaves
from fhir_bridge.mapping.read import BOOKKEEPING
from fhir_bridge.sync import convert, coverage

FETCH = "from npm_package import fetch; from r4_definitions import PACKAGE; print(fetch(*PACKAGE))"
#: Bundles of HL7's definitions: megabytes of conformance resources that no clinic sends
LARGEST = 500_000


# --- everything else anybody sends -------------------------------------------------------------------------------------------


def test_a_us_core_blood_pressure_is_read_and_what_it_says_beside_is_named() -> None:
    component = [
        {
            "code": {"coding": [{"system": LOINC, "code": code, "display": "x"}], "text": "x"},
            "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", 109), ("8462-4", 44))
    ]
    found = back(
        heart_rate(
            id="blood-pressure",
            meta={"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"], "lastUpdated": NINE},
            text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
            code={"coding": [{"system": LOINC, "code": "85354-9"}], "text": "Blood pressure systolic and diastolic"},
            encounter={"display": "GP Visit"},
            component=component,
            valueQuantity=...,
        )
    )
    assert found.record["readings"][0]["blood_pressure"] == {"systolic": 109, "diastolic": 44}
    assert {line.partition(":")[0] for line in found.residue} == {
        "Observation.meta.profile[0]",
        "Observation.text.status",
        "Observation.text.div",
        "Observation.code.text",
        "Observation.encounter.display",
        "Observation.component[0].code.text",
        "Observation.component[1].code.text",
    }


NAMES = ["code", "subject", "effectiveDateTime", "effectivePeriod", "effectiveInstant", "valueQuantity", "status", "meta", "component"]
NAMES += ["contained", "identifier", "extension", "text", "id", "category", "encounter", "dataAbsentReason", "note", "name"]
ODD: list[Any] = [
    None,
    True,
    7,
    "x",
    [],
    {},
    [[]],
    [{}],
    {"resourceType": "Patient"},
    {"coding": 7},
    {"reference": 7},
    {"value": {}},
    [{"use": {}}],
    [{"use": "old"}],
    {"use": "old"},
]


@pytest.mark.parametrize("name", NAMES)
def test_an_element_of_any_shape_ends_in_a_record_or_a_refusal(name: str) -> None:
    for odd in ODD:
        for resource in (heart_rate(**{name: odd}), heart_rate(**{"effectiveDateTime": ...} | {name: odd}), patient(**{name: odd})):
            for document in (resource, bundle(("urn:uuid:1", patient()), ("urn:uuid:2", resource))):
                try:
                    back(document)
                except Refused as refusal:
                    assert refusal.faults


@cache
def examples() -> tuple[Path, ...]:
    fetched = subprocess.run([sys.executable, "-c", FETCH], cwd=ROOT / "scripts", capture_output=True, text=True)
    if fetched.returncode and os.environ.get("FHIR_BRIDGE_OFFLINE"):
        pytest.skip("HL7's R4 package is not in build/ and FHIR_BRIDGE_OFFLINE is set")
    assert fetched.returncode == 0, fetched.stderr
    kinds = {*site().mapping.by_type, "Bundle"}
    files = sorted(Path(fetched.stdout.strip()).glob("*.json"))
    return tuple(path for path in files if path.name.partition("-")[0] in kinds and path.stat().st_size < LARGEST)


def test_no_leaf_of_an_official_example_is_lost_in_silence() -> None:
    """Every leaf is in the record, or named with a reason, or stands in a resource that is refused with a reason."""
    read = 0
    for file in examples():
        document = documents.loads(file.read_bytes())
        explained = coverage.of_document(site(), document)
        assert all(leaf.spoken or leaf.reason for leaf in explained.leaves), file.name
        if document["resourceType"] == "Bundle":
            inside = sum(len(information(one)) for one in bundles.resources(document))
            assert len(explained.leaves) == inside, file.name
            continue
        sent = {f"{document['resourceType']}.{path}" for path in map(dotted, information(document))}
        assert {leaf.path for leaf in explained.leaves} == sent, file.name
        try:
            found = convert.map_back(site().mapping, document)
        except Refused as refusal:
            assert all(fault.message for fault in refusal.faults)
            assert explained.spoken == 0, file.name
        else:
            unsaid = {line.partition(": ")[0] for line in found.residue}
            assert {leaf.path for leaf in explained.leaves if not leaf.spoken} == unsaid, file.name
            read += 1
    assert read > 40


def information(document: Any) -> list[tuple[str | int, ...]]:
    return [at for at, _ in leaves(document) if at not in BOOKKEEPING]


def dotted(at: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at).removeprefix(".")
