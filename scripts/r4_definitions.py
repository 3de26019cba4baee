"""HL7's R4 definitions as flat tables: per type its elements (choice types written out), per value set its codes.

Reads the unpacked npm package `hl7.fhir.r4.examples` 4.0.1. HL7 puts these definitions under CC0, so what is made of them may
be shipped. Knows nothing of JSON Schema.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = (
    "hl7.fhir.r4.examples",
    "4.0.1",
    "sha512-DXBdIZOeQaSKIgCU7w6HOC7sw/6BzylmipLkBW4f//pT+Bc94x+8LImwTdvaNThPJoOzpBzvxAzNqjeu3X/zLw==",
)
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_TYPE_OF = f"{_DEFINITION}structuredefinition-fhir-type"


@dataclass(frozen=True)
class Element:
    """One JSON property of a type. `type` is a primitive, a data type, or the dotted path of a part (`Observation.component`)."""

    name: str
    type: str
    min: int
    many: bool
    choice: str = ""  # `value[x]`, when this is one spelling of it
    targets: tuple[str, ...] = ()  # what a Reference may point to; empty: anything
    codes: str = ""  # the value set whose codes alone are allowed
    profile: str = ""  # SimpleQuantity and the like


class Definitions:
    """The tables, read from the package as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._snapshots: dict[str, list[dict[str, Any]]] = {}

    def kind(self, name: str) -> str:
        """`resource`, `complex-type` or `primitive-type`."""
        return str(self._read("StructureDefinition", name)["kind"])

    def parts(self, name: str) -> dict[str, list[Element]]:
        """The elements of a type and of every part inside it, by dotted path."""
        snapshot = self._read("StructureDefinition", name)["snapshot"]["element"]
        inner = {e["path"] for e in snapshot if any(t["code"] in ("BackboneElement", "Element") for t in e.get("type", []))}
        parts: dict[str, list[Element]] = {name: [], **{path: [] for path in sorted(inner - {name})}}
        for element in snapshot[1:]:
            if element["max"] != "0":
                parts[element["path"].rpartition(".")[0]].extend(_spellings(element))
        return parts

    @cache  # noqa: B019  (one object, one run)
    def codes(self, value_set: str) -> tuple[tuple[str, str], ...]:
        """(system, code) of each code of a value set; empty when it lists none (MIME types, currencies)."""
        found = self._read("ValueSet", value_set.rpartition("/")[2].partition("|")[0])
        return tuple(pair for part in found["compose"]["include"] for pair in self._included(part))

    def _included(self, part: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if "filter" in part or "valueSet" in part:
            raise ValueError(f"a value set of {part.get('system')} is made by a filter; this script only knows lists")
        concepts = part.get("concept") or self._system(part["system"]).get("concept", [])
        yield from ((part["system"], code) for code in _codes_of(concepts))

    def _system(self, url: str) -> dict[str, Any]:
        return self._systems().get(url, {})

    @cache  # noqa: B019
    def _systems(self) -> dict[str, dict[str, Any]]:
        documents = (json.loads(path.read_bytes()) for path in self._folder.glob("CodeSystem-*.json"))
        return {document["url"]: document for document in documents}

    def _read(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / f"{kind}-{name}.json").read_bytes())
        return found


def _codes_of(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes_of(concept.get("concept", []))


def _spellings(element: dict[str, Any]) -> Iterator[Element]:
    """The JSON properties of one ElementDefinition: several when it is a choice."""
    path, name = element["path"], element["path"].rpartition(".")[2]
    binding = element.get("binding", {})
    shared = {
        "min": element["min"],
        "many": element["max"] != "1",
        "codes": binding.get("valueSet", "") if binding.get("strength") == "required" else "",
    }
    if "contentReference" in element:
        yield Element(name=name, type=element["contentReference"].removeprefix("#"), **shared)
    for kind in element.get("type", []):
        code = _type_name(path, kind)
        spelling = name.replace("[x]", code[0].upper() + code[1:])
        profiles = [url.removeprefix(_DEFINITION) for url in kind.get("profile", [])]
        targets = tuple(sorted(url.removeprefix(_DEFINITION) for url in kind.get("targetProfile", [])))
        yield Element(
            name=spelling,
            type=code,
            choice=name if spelling != name else "",
            targets=() if "Resource" in targets else targets,
            profile=profiles[0] if profiles else "",
            **shared,
        )


def _type_name(path: str, kind: dict[str, Any]) -> str:
    code = str(kind["code"])
    if code in ("BackboneElement", "Element"):
        return path
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    if path.count(".") == 1 and path.endswith(".id") and path[0].isupper():
        return "id.plain"  # a resource's or an element's own id; told apart by the reader of this table
    return next(str(e["valueUrl"]) for e in kind["extension"] if e["url"] == _TYPE_OF) + ".plain"
