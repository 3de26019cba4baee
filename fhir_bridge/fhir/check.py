"""The strict R4 check: a resource is right by its type's schema, by the walk through its data types, and by its type's rules.

Each resource is checked by its own type, also inside a Bundle, Parameters or another resource. Messages name the element and
what R4 allows there, never what was found. Importing this compiles nothing; the first check of a type does (about 10 ms).
"""

from collections.abc import Mapping
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import elements
from fhir_bridge.fhir.paths import rendered
from fhir_bridge.fhir.rules import broken_rules
from fhir_bridge.fhir.schema import schema_faults
from fhir_bridge.fhir.walk import walk

_CARRIERS = frozenset({"Bundle", "Parameters"})  # hold whole resources; any other type holds contained ones


def faults(resource: Any, *, sending: bool = False) -> list[Fault]:
    """Everything wrong with one FHIR R4 resource (any Bundle included); an empty list when nothing is.

    Numbers may be Decimal or float. The resource is not changed. Of a resource inside whose type R4 has and this package
    does not check (a Specimen in a searchset), only the type is looked at. `sending` adds the `us-…` rules for what we write
    ourselves; R4 does not have them, and hospitals need not keep them.
    """
    if not isinstance(resource, dict) or not isinstance(kind := resource.get("resourceType"), str):
        return [Fault("resourceType", "is required: send one FHIR resource as a JSON object that names its type")]
    if kind not in elements.checked_names():
        known = "is a resource type of R4 that is not exchanged here" if kind in elements.resource_names() else "is no resource type of R4"
        return [Fault("resourceType", known)]
    try:
        return _faults(resource, kind, kind, container=None, sending=sending)
    except RecursionError:
        return [Fault(kind, "is nested too deep")]


def require(resource: Any, *, sending: bool = False) -> None:
    """Raises `Refused` with every fault unless the resource is right."""
    if found := faults(resource, sending=sending):
        raise Refused(found)


def _faults(resource: dict[str, Any], kind: str, at: str, *, container: Mapping[str, Any] | None, sending: bool) -> list[Fault]:
    found = schema_faults(resource, kind, at)
    walked = walk(resource, kind, at, container=container)
    if not found:  # the rules read a shape they can trust
        found = [Fault(_below(at, path), message) for path, message in broken_rules(resource, sending=sending)]
    found += walked.faults
    for place, inner in walked.inside:
        inner_kind = inner.get("resourceType")
        if isinstance(inner_kind, str) and inner_kind in elements.checked_names():  # else the holder's schema knows
            holder = None if kind in _CARRIERS else resource
            found += _faults(inner, inner_kind, rendered(place), container=holder, sending=sending)
    return found


def _below(at: str, path: str) -> str:
    return f"{at}.{path}" if path else at
