"""One walk through a resource by R4's types: what the schema says badly or slowly, the rules of data types, and where resources lie inside.

Refuses several spellings of one choice, `30.0` where a whole number belongs, and a null in a list with nothing beside it.
Bears any shape, so that it can run on what the schema refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from fhir_bridge.errors import Fault
from fhir_bridge.fhir import elements
from fhir_bridge.fhir.datatypes import RULES, Rule
from fhir_bridge.fhir.paths import Place, rendered
from fhir_bridge.fhir.references import reference_fault


class _Step(NamedTuple):
    """What to do at one property; properties that need nothing have none."""

    type: str  # empty for a primitive
    choice: str
    targets: frozenset[str]
    whole: bool
    pointing: bool  # a Reference, or a whole Resource
    right: frozenset[str]  # the types a reference here may name
    deep: bool  # an object here is always looked into,
    names: frozenset[str]  # or when it has one of these


@dataclass(slots=True)
class Walk:
    """What a walk found in one resource: faults, and the resources right inside it with their places."""

    resource: Mapping[str, Any]
    faults: list[Fault] = field(default_factory=list)
    inside: list[tuple[Place, Any]] = field(default_factory=list)
    container: Mapping[str, Any] | None = None  # what holds `resource`, when it is a contained one

    def add(self, place: Place, message: str) -> None:
        self.faults.append(Fault(rendered(place), message))


def walk(resource: dict[str, Any], kind: str, at: Place, *, container: Mapping[str, Any] | None = None) -> Walk:
    """Walks `resource` of type `kind`, not into the resources inside it; `at` is where it lies in the whole document."""
    found = Walk(resource, container=container)
    _object(resource, _PLANS[kind], at, found)
    return found


def _object(node: dict[str, Any], plan: "_Plan", at: Place, found: Walk) -> None:
    for rule in plan.rules:
        if broken := rule(node):
            found.add(at, broken)
    chosen: dict[str, str] = {}
    steps = plan.steps
    for key, value in node.items():
        step = steps.get(key)
        if step is None:
            continue
        if step.choice and chosen.setdefault(step.choice, name := key.lstrip("_")) != name:
            found.add(at, f"has more than one {step.choice}; keep one")
        if isinstance(value, list):
            _list(value, step, (at, key), found, node)
        elif isinstance(value, dict):
            if step.deep or not step.names.isdisjoint(value):  # most objects are codings and the like, and end here
                _inner(value, step, (at, key), found)
        elif step.whole:
            _whole(value, (at, key), found)


def _inner(value: dict[str, Any], step: _Step, at: Place, found: Walk) -> None:
    if not step.pointing:
        _object(value, _PLANS[step.type], at, found)
    elif step.type == "Resource":
        found.inside.append((at, value))
    else:
        text = value.get("reference")
        if isinstance(text, str) and text.partition("/")[0] not in step.right:  # else whatever follows, it is right
            _reference(text, step, at, found)
        if not step.names.isdisjoint(value):
            _object(value, _PLANS["Reference"], at, found)


def _whole(value: object, at: Place, found: Walk) -> None:
    if not isinstance(value, int):  # JSON Schema takes 30.0 for whole; R4's pattern for integer doesn't
        found.add(at, "must be a whole number, written without a point")


def _reference(text: str, step: _Step, at: Place, found: Walk) -> None:
    broken = reference_fault(text, step.targets, resource=found.resource, container=found.container)
    if broken:
        found.add((at, "reference"), broken)


def _list(values: list[Any], step: _Step, at: Place, found: Walk, node: dict[str, Any]) -> None:
    for index, value in enumerate(values):
        if isinstance(value, dict):
            if step.deep or not step.names.isdisjoint(value):
                _inner(value, step, (at, index), found)
        elif value is None:
            _null(index, at, found, node)
        elif step.whole:
            _whole(value, (at, index), found)


def _null(index: int, at: Place, found: Walk, node: dict[str, Any]) -> None:
    """ele-1: a null only keeps the place of what the other of `given` and `_given` has there."""
    key = at[1]
    other = node.get(key[1:] if str(key).startswith("_") else f"_{key}")  # type: ignore[index]
    if not isinstance(other, list) or index >= len(other) or other[index] is None:
        found.add((at, index), "must have a value or an extension; leave the null out (ele-1)")


class _Plan(NamedTuple):
    """What to do with an object of one type."""

    rules: tuple[Rule, ...]
    steps: dict[str, _Step]


class _Plans(dict[str, _Plan]):
    """The plans by type, each made when first asked for; a lookup is then the cheapest Python has."""

    def __missing__(self, kind: str) -> _Plan:
        steps = {name: _step(element) for name, element in elements.children(kind).items() if _needs_step(element)}
        self[kind] = plan = _Plan(RULES.get(kind, ()), steps)
        return plan


def _needs_step(element: elements.Element) -> bool:
    return not elements.is_primitive(element.type) or bool(element.choice) or element.many or element.type in elements.WHOLE_NUMBERS


def _step(element: elements.Element) -> _Step:
    primitive, pointing = elements.is_primitive(element.type), element.type in ("Reference", "Resource")
    return _Step(
        type="" if primitive else element.type,
        choice=element.choice,
        targets=element.targets,
        whole=element.type in elements.WHOLE_NUMBERS,
        pointing=pointing,
        right=(element.targets or elements.resource_names()) if element.type == "Reference" else frozenset(),
        deep=pointing or element.type in RULES,
        names=frozenset() if primitive else _stepped(element.type),
    )


@cache
def _stepped(kind: str) -> frozenset[str]:
    """The properties of a type that need a step."""
    return frozenset(name for name, element in elements.children(kind).items() if _needs_step(element))


_PLANS = _Plans()
