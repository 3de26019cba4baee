"""What R4 has: the elements of each type, by path, with the choice types written out (`Observation.valueQuantity`).

The table is generated from HL7's StructureDefinitions by `scripts/generate_r4_schema.py` and read at first use. A path starts
at a resource or data type; indices are allowed and ignored (`Observation.component[0].code`). A resource inside a resource has
a path of its own: ask for `Medication.ingredient`, not for `MedicationAdministration.contained.ingredient`.
"""

import gzip
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

_INDEX = re.compile(r"\[\d+\]")
WHOLE_NUMBERS = frozenset({"integer", "positiveInt", "unsignedInt"})


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON property. `type` is a primitive, a data type, `Resource`, or a part's own path (`Observation.component`)."""

    type: str
    min: int
    many: bool
    choice: str = ""  # `value[x]` when the name is one spelling of it
    targets: frozenset[str] = frozenset()  # what a reference may point to; empty: anything


def type_of(path: str) -> str | None:
    """The type at `path`: `Quantity`, `dateTime`, `Observation.component` …; None when R4 has no such element."""
    if "." not in path:
        return path if is_primitive(path) or path in _tables()["types"] or path in resource_names() else None
    found = element(path)
    return found.type if found else None


def is_list(path: str) -> bool:
    """True when the element at `path` repeats, so that JSON wants a list; False also for what R4 doesn't have."""
    found = element(path)
    return found is not None and found.many


def is_required(path: str) -> bool:
    """True when whatever holds `path` is not valid without it (or, for a choice, without another spelling of it)."""
    found = element(path)
    return found is not None and found.min > 0


@cache
def element(path: str) -> Element | None:
    """Everything known about the element at `path`; None when R4 has no such element, or `path` is only a type."""
    kind, *names = _INDEX.sub("", path).split(".")
    found: Element | None = None
    for name in names:
        found = children(kind).get(name)
        if found is None:
            return None
        kind = found.type
    return found


@cache
def children(kind: str) -> dict[str, Element]:
    """The JSON properties of a type or part (`Observation.component`) by name, `resourceType` and `_` siblings included."""
    found = {name: _element(row) for name, row in _tables()["types"].get(kind, {}).items()}
    siblings = {f"_{name}": Element("Element", 0, e.many, e.choice) for name, e in found.items() if is_primitive(e.type)}
    own = {"resourceType": Element("code", 1, False)} if kind in _tables()["checked"] else {}
    return own | found | siblings


def is_primitive(kind: str) -> bool:
    """True for `code`, `dateTime` and the like: what JSON writes as a text, number or boolean, with a `_` sibling beside it."""
    return kind in _tables()["primitives"]


@cache
def resource_names() -> frozenset[str]:
    """Every resource type of R4, also those this package has no elements of."""
    return frozenset(_tables()["resources"])


@cache
def checked_names() -> frozenset[str]:
    """The resource types whose elements are known here."""
    return frozenset(_tables()["checked"])


def _element(row: list[Any]) -> Element:
    kind, least, many, choice, targets = row
    return Element(kind, least, many, choice, frozenset(targets))


@cache
def _tables() -> dict[str, Any]:
    packed = files(__package__).joinpath("r4.elements.json.gz").read_bytes()
    found: dict[str, Any] = msgspec.json.decode(gzip.decompress(packed))
    return found
