"""Which template line every leaf went through, in both directions, and which leaves nothing speaks of.

Reading gives this for nothing: what was understood is listed with its place, the rest is left over.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_bridge.mapping.converters import table_of
from fhir_bridge.mapping.engine import Mapping as TwoWay
from fhir_bridge.mapping.parts import At, Hole, Said, Text, dotted, leaves
from fhir_bridge.mapping.read import BOOKKEEPING, Reading, read_resource
from fhir_bridge.mapping.record import Key, Steps, statements
from fhir_bridge.mapping.scope import absolute
from fhir_bridge.mapping.template import Template

_CODE = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of a document: where it is, the line that speaks of it, the other end of that line; or why nothing does."""

    document: int
    path: str
    line: str = ""
    other: str = ""
    reason: str = ""

    @property
    def spoken(self) -> bool:
        return bool(self.line)


@dataclass(frozen=True, slots=True)
class UnknownCode:
    """A code that was met and that its table does not have; a person can add it there and read again."""

    table: str
    code: str


def of_resources(mapping: TwoWay, resources: Sequence[Mapping[str, Any]]) -> list[Leaf]:
    """Every leaf of the resources, with the field of the record that it is; bookkeeping of the server left out."""
    return [leaf for index, resource in enumerate(resources) for leaf in _of_resource(mapping, index, resource)]


def of_record(mapping: TwoWay, record: dict[str, Any]) -> list[Leaf]:
    """Every leaf of the record, with the places of the resources that it goes to. Raises `Refused` as `to_fhir` does."""
    resources = mapping.to_fhir(record).resources
    readings = [
        (index, reading)
        for index, resource in enumerate(resources)
        if isinstance(reading := read_resource(mapping.by_type, resource), Reading)
    ]
    said, _ = statements(readings)
    spoken = {_indexed(record, steps): found for steps, found in said.items()}
    return list(_of_record(record, spoken))


def unknown_codes(mapping: TwoWay, resources: Sequence[Mapping[str, Any]]) -> Counter[UnknownCode]:
    """The codes that were met and not known, counted."""
    found: Counter[UnknownCode] = Counter()
    for resource in resources:
        reading = read_resource(mapping.by_type, resource)
        for one in reading.said if isinstance(reading, Reading) else ():
            if one.problem and isinstance(one.part, Hole) and (table := table_of(one.part.converter)):
                found.update(UnknownCode(table.name, code) for code in codes_in(_at(resource, one.at)))
    return found


def share(found: Sequence[Leaf]) -> float:
    """How many of the leaves are spoken of, from 0 to 1; 1 when there are none."""
    return sum(leaf.spoken for leaf in found) / len(found) if found else 1.0


def _of_resource(mapping: TwoWay, index: int, resource: Mapping[str, Any]) -> Iterator[Leaf]:
    kind, reading = str(resource.get("resourceType")), read_resource(mapping.by_type, resource)
    told = isinstance(reading, Reading)
    lines = {at: one for one in reading.said if not one.problem for at in one.claims} if isinstance(reading, Reading) else {}
    reasons = {rest.path: rest.reason for rest in reading.residue(resource, index)} if isinstance(reading, Reading) else {}
    for at, _ in leaves(resource):
        path = f"{kind}.{dotted(at)}"
        if at in BOOKKEEPING:
            continue
        if isinstance(reading, Reading) and at in lines:
            yield Leaf(index, path, lines[at].part.where, _field(reading.template, lines[at]))
        else:
            yield Leaf(index, path, reason=reasons.get(path, "") if told else str(reading))


def _of_record(record: dict[str, Any], spoken: Mapping[At, Sequence[Any]]) -> Iterator[Leaf]:
    for at, _ in leaves(record):
        found = next((spoken[at[:length]] for length in range(len(at), 0, -1) if at[:length] in spoken), ())
        if not found:
            yield Leaf(0, dotted(at), reason="no template speaks of it")
        for statement in found:
            yield Leaf(0, dotted(at), statement.where, statement.template)


def _indexed(record: Any, steps: Steps) -> At:
    """The steps to a field as the path of its leaf: keys become positions."""
    at: list[str | int] = []
    for step in steps:
        if isinstance(step, Key):
            at.append(next(index for index, item in enumerate(record) if step.is_of(item)))
        else:
            at.append(step)
        record = record[at[-1]]
    return tuple(at)


def _field(template: Template, one: Said) -> str:
    """The record's field in words: `readings[].heart_rate`; nothing for a constant."""
    if isinstance(one.part, Hole):
        return ".".join(absolute(one.part.path, template.all_loops))
    return " ".join(".".join(absolute(hole.path, template.all_loops)) for hole in one.part.holes) if isinstance(one.part, Text) else ""


def _at(value: Any, at: At) -> Any:
    for step in at:
        value = value[step]
    return value


def codes_in(value: Any) -> Iterator[str]:
    """The codes in a code, a Coding or a CodeableConcept; text that people wrote is none, and may be a patient's."""
    if isinstance(value, str):
        yield from [value] if _CODE.fullmatch(value) else []
    elif isinstance(value, dict):
        codings = value.get("coding", [value])
        for coding in codings if isinstance(codings, list) else ():
            system, code = (coding.get("system", ""), coding.get("code")) if isinstance(coding, dict) else ("", None)
            if isinstance(code, str) and isinstance(system, str) and _CODE.fullmatch(code) and _CODE.fullmatch(system or "-"):
                yield f"{system}|{code}" if system else code
