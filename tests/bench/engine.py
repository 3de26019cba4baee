"""The engine as the bench and the twin's test use it: the shipped templates, loaded as the application loads them."""

from functools import cache
from pathlib import Path
from typing import Any

from fhir_bridge.clinic import records
from fhir_bridge.fhir import bundle, elements
from fhir_bridge.mapping import Mapping
from fhir_bridge.settings import DEFAULT_VALUES

ROOT = Path(__file__).parents[2]


def load() -> Mapping:
    """All templates, checked, and both shortcuts made from them."""
    return Mapping.load([ROOT / "mappings"], site=DEFAULT_VALUES, fields=records.all_fields(), type_of=elements.type_of)


@cache
def engine() -> Mapping:
    return load()


def engine_bundle(mapping: Mapping, record: dict[str, Any]) -> dict[str, Any]:
    """The transaction Bundle of one record, made by the mapping engine."""
    written = mapping.to_fhir(record).resources
    return bundle.transaction(bundle.Entry("PUT", f"{one['resourceType']}/{one['id']}", one) for one in written)
