"""Where a reference may point: to the types its element names (StructureDefinition, targetProfile), and inside to what is there (ref-1).

Only relative references and those to contained resources say their target's type; an absolute URL and a urn say nothing.
"""

import re
from collections.abc import Mapping
from typing import Any

from fhir_bridge.fhir import elements

_RELATIVE = re.compile(r"([A-Za-z]+)(?:/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?|\?.+)", re.ASCII)


def reference_fault(
    text: object, targets: frozenset[str], *, resource: Mapping[str, Any], container: Mapping[str, Any] | None
) -> str | None:
    """What is wrong with a Reference.reference whose element allows `targets` (empty: any type); None when nothing is."""
    if not isinstance(text, str):
        return None  # the schema says so
    if text.startswith("#"):
        return _contained_fault(text, targets, container or resource)
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    return _type_fault(match[1], targets)


def _contained_fault(text: str, targets: frozenset[str], container: Mapping[str, Any]) -> str | None:
    if text == "#":
        return None  # the container itself
    inside = container.get("contained")
    for one in inside if isinstance(inside, list) else ():
        if isinstance(one, dict) and one.get("id") == text[1:]:
            return _type_fault(one.get("resourceType"), targets)
    return "points to a contained resource that is not there (ref-1)"


def _type_fault(kind: object, targets: frozenset[str]) -> str | None:
    if not isinstance(kind, str) or kind not in elements.resource_names():
        return "must name a resource type of R4, as in Patient/123"
    if targets and kind not in targets:
        return f"must point to {', '.join(sorted(targets))}"
    return None
