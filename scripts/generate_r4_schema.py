#!/usr/bin/env python3
"""Writes `fhir_bridge/fhir/r4.schema.json.gz` and `r4.elements.json.gz` from HL7's R4 definitions (CC0).

    python scripts/generate_r4_schema.py

Fetches the definitions with the npm client when `build/` does not hold them. The same definitions give the same bytes.
What a JSON Schema says badly or slowly (at most one value[x], whole numbers, invariants, reference targets) is not in it:
`fhir_bridge.fhir.rules` has that list.
"""

import gzip
import json
from pathlib import Path
from typing import Any

from npm_package import fetch
from r4_definitions import PACKAGE, Definitions, Element

OUT = Path(__file__).resolve().parent.parent / "fhir_bridge" / "fhir"
TYPES = [
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "AuditEvent",
    "Binary",
    "Bundle",
    "CapabilityStatement",
    "CarePlan",
    "Communication",
    "Condition",
    "Coverage",
    "Device",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "Goal",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationRequest",
    "MessageHeader",
    "Observation",
    "OperationOutcome",
    "Organization",
    "Parameters",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "Schedule",
    "ServiceRequest",
    "Slot",
    "Subscription",
    "Task",
]

# Day of month by month, so that 2026-02-30 is no date. Year 0000 is none either (R4, date).
_YEAR = "([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][48]|[2468]0|[13579][26])00)"
_DAY = f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_PARTIAL = f"{_YEAR}(-(0[1-9]|1[0-2]))?"
_TEXT = r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f]+"
_WHOLE = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}


def _pattern(pattern: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({pattern})$", **more}


PRIMITIVES: dict[str, dict[str, Any]] = {
    "base64Binary": _pattern(r"(\s*([0-9a-zA-Z+/=]){4}\s*)+"),
    "boolean": {"type": "boolean"},
    "canonical": _pattern(r"\S+"),
    "code": _pattern(r"[^\s]+(\s[^\s]+)*"),
    "date": _pattern(f"{_PARTIAL}|{_DAY}"),
    "dateTime": _pattern(f"{_PARTIAL}|{_DAY}(T{_TIME}{_ZONE})?"),
    "decimal": {"type": "number"},
    "id": _pattern(r"[A-Za-z0-9.-]{1,64}"),
    "instant": _pattern(f"{_DAY}T{_TIME}{_ZONE}"),
    "integer": _WHOLE,
    "markdown": _pattern(_TEXT),
    "oid": _pattern(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "positiveInt": {**_WHOLE, "minimum": 1},
    "string": _pattern(_TEXT),
    "time": _pattern(_TIME),
    "unsignedInt": {**_WHOLE, "minimum": 0},
    "uri": _pattern(r"\S+"),
    "url": _pattern(r"\S+"),
    "uuid": _pattern(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "xhtml": _pattern(rf"\s*<div[\s>/]{_TEXT}"),
}


class Generator:
    """Collects the definitions of `TYPES` and of all they are made of."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.resources = [code for _, code in definitions.codes("http://hl7.org/fhir/ValueSet/resource-types")]
        self.schema: dict[str, Any] = {"Resource": self._any_resource(), **{name: dict(p) for name, p in PRIMITIVES.items()}}
        self.elements: dict[str, dict[str, list[Any]]] = {}

    def add(self, name: str) -> None:
        """Takes in a type and, first come, all that its elements are made of."""
        if name in self.schema:
            return
        self.schema[name] = {}  # a type may hold itself
        resource = self._definitions.kind(name) == "resource"
        for path, elements in self._definitions.parts(name).items():
            elements = [_own_id(e, resource=resource and path == name) for e in elements]
            self.schema[path] = self._object(path, elements, resource=resource and path == name)
            self.elements[path] = {e.name: [_bare(e.type), e.min, e.many, e.choice, list(e.targets)] for e in elements}
        if name == "Element":
            self._or_null(name)
        if name == "Quantity":
            self.schema["SimpleQuantity"] = _without(self.schema[name], "comparator")  # sqty-1

    def _object(self, path: str, elements: list[Element], *, resource: bool) -> dict[str, Any]:
        properties: dict[str, Any] = {"resourceType": {"const": path}} if resource else {}
        for element in elements:
            properties[element.name] = self._property(element)
            if _bare(element.type) in PRIMITIVES and not element.type.endswith(".plain"):
                properties[f"_{element.name}"] = self._sibling(element)
        required, either = _required(elements)
        found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties, "minProperties": 1}
        if resource:
            required = ["resourceType", *required]
        if required:
            found["required"] = required
        if either:
            found["allOf"] = either
        return found

    def _property(self, element: Element) -> dict[str, Any]:
        one = self._one(element)
        return {"type": "array", "minItems": 1, "items": one} if element.many else one

    def _one(self, element: Element) -> dict[str, Any]:
        kind = _bare(element.type)
        if kind not in PRIMITIVES:
            self.add(kind.partition(".")[0])
        codes = self._definitions.codes(element.codes) if element.codes else ()
        if codes and kind in PRIMITIVES:
            name = self._code_list(element.codes, codes)
            return self._or_null(name) if element.many else _ref(name)
        if codes and kind == "CodeableConcept":
            return {**_ref(kind), "required": ["coding"], "properties": {"coding": {"contains": _coding(codes)}}}
        if element.many and kind in PRIMITIVES:
            return self._or_null(kind)
        return _ref("SimpleQuantity" if element.profile == "SimpleQuantity" else kind)

    def _sibling(self, element: Element) -> dict[str, Any]:
        self.add("Element")
        return {"type": "array", "minItems": 1, "items": _ref("Element-or-null")} if element.many else _ref("Element")

    def _code_list(self, value_set: str, codes: tuple[tuple[str, str], ...]) -> str:
        name = "codes-" + value_set.rpartition("/")[2].partition("|")[0]
        self.schema[name] = {"enum": sorted({code for _, code in codes})}
        return name

    def _or_null(self, name: str) -> dict[str, Any]:
        """The same, or null: in a primitive's list null keeps the place of a value or of its extension (R4, JSON)."""
        found = self.schema[name]
        kind = {"enum": [*found["enum"], None]} if "enum" in found else {**found, "type": [found["type"], "null"]}
        self.schema[f"{name}-or-null"] = kind
        return _ref(f"{name}-or-null")

    def _any_resource(self) -> dict[str, Any]:
        """A resource inside another: which one is said here, the rest is checked by its own type's schema."""
        return {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"enum": self.resources}}}


def _own_id(element: Element, *, resource: bool) -> Element:
    if element.type != "id.plain":
        return element
    return Element(name=element.name, type="id" if resource else "string.plain", min=element.min, many=element.many)


def _bare(kind: str) -> str:
    return kind.removesuffix(".plain")


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _coding(codes: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    systems, words = sorted({system for system, _ in codes}), sorted({code for _, code in codes})
    return {"type": "object", "required": ["system", "code"], "properties": {"system": {"enum": systems}, "code": {"enum": words}}}


def _without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    kept = {key: value for key, value in schema["properties"].items() if key.lstrip("_") != name}
    return {**schema, "properties": kept}


def _required(elements: list[Element]) -> tuple[list[str], list[dict[str, Any]]]:
    """The names that must be there, and the sets of names of which one must be (a primitive or its `_` sibling; a choice)."""
    required: list[str] = []
    sets: dict[str, list[str]] = {}
    for element in (e for e in elements if e.min):
        names = [element.name]
        if element.type in PRIMITIVES:
            names.append(f"_{element.name}")
        if len(names) == 1 and not element.choice:
            required.append(element.name)
        else:
            sets.setdefault(element.choice or element.name, []).extend(names)
    return required, [{"anyOf": [{"required": [name]} for name in names]} for names in sets.values()]


def _write(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))
    print(f"{path.name}: {len(text)} bytes, {path.stat().st_size} gzipped")


def main() -> None:
    generator = Generator(Definitions(fetch(*PACKAGE)))
    for name in TYPES:
        generator.add(name)
    _write(
        OUT / "r4.schema.json.gz",
        {
            "$comment": "Generated by scripts/generate_r4_schema.py from HL7 FHIR R4 4.0.1 (CC0)",
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": generator.schema,
        },
    )
    _write(
        OUT / "r4.elements.json.gz",
        {"checked": TYPES, "primitives": sorted(PRIMITIVES), "resources": generator.resources, "types": generator.elements},
    )


if __name__ == "__main__":
    main()
