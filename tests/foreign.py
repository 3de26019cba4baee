"""Resources as strangers write them, and the door they come through."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_bridge import bootstrap, documents
from fhir_bridge.errors import Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert
from fhir_bridge.sync.bridge import Site

ROOT = Path(__file__).resolve().parents[1]
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
NINE = "2026-03-02T09:00:00-05:00"


@cache
def site() -> Site:
    return bootstrap.site(Settings(), "default")


def back(*resources: Any) -> convert.ReadBack:
    """The record in what any sender's JSON says, through the same door as a file."""
    document = resources[0] if len(resources) == 1 else list(resources)
    return convert.map_back(site().mapping, documents.loads(documents.dumps(document)))


def refused(*resources: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        back(*resources)
    return list(map(str, caught.value.faults))


def heart_rate(**more: Any) -> dict[str, Any]:
    """A pulse as a stranger's system writes it: no identifier of ours, no category."""
    found = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": NINE,
        "valueQuantity": {"value": 72, "unit": "/min", "system": UCUM, "code": "/min"},
    } | more
    return {name: value for name, value in found.items() if value is not ...}


def measured(code: str, value: Any, unit: str) -> dict[str, Any]:
    return heart_rate(code={"coding": [{"system": LOINC, "code": code}]}, valueQuantity={"value": value, "system": UCUM, "code": unit})


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "name": [{"family": "Synthetic", "given": ["Exampla"]}]} | more


def bundle(*entries: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"fullUrl": url, "resource": one} for url, one in entries]}
