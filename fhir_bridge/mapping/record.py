"""What resources say, put together to one record: candidates narrowed, disagreements named, old spellings kept."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fhir_bridge.mapping.codes import Candidates
from fhir_bridge.mapping.converters import ABSENT, PLAIN, Converter
from fhir_bridge.mapping.parts import Hole
from fhir_bridge.mapping.read import Reading
from fhir_bridge.mapping.scope import Loop, Path


@dataclass(frozen=True, slots=True)
class Key:
    """A step into a list: the element whose `field` means `meaning`."""

    field: str
    meaning: Any
    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and (self.field, self.meaning) == (other.field, other.meaning)

    def __hash__(self) -> int:
        return hash((self.field, self.meaning))

    def is_of(self, item: Any) -> bool:
        """Is `item` the element with this key?"""
        return isinstance(item, dict) and _key_meaning(item.get(self.field)) == self.meaning


Steps = tuple[str | Key, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One resource saying one field: which of the resources given, through which template and line."""

    document: int
    template: str
    where: str
    value: Any
    converter: Converter


@dataclass(frozen=True, slots=True)
class Conflict:
    """Resources that disagree about a field, and everything that was said; the first statement stands in the record."""

    path: str
    said: tuple[Statement, ...]

    def __str__(self) -> str:
        return f"{self.path}: {', '.join(f'{one.template} ({one.where})' for one in self.said)} disagree"


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A reading whose place in the record cannot be known, because nothing says `missing`."""

    document: int
    missing: Path


def statements(readings: Iterable[tuple[int, Reading]]) -> tuple[dict[Steps, list[Statement]], list[Unplaced]]:
    """Everything said of each field, the first template in file-name order first, whatever the order of the resources."""
    found: dict[Steps, list[tuple[Any, Statement]]] = {}
    unplaced: list[Unplaced] = []
    for document, reading in readings:
        name, loops = reading.template.name, _loops(reading)
        missing = next((loop.key_path for loop in reading.template.loops if reading.key_of(loop.name) is ABSENT), None)
        if missing is not None:
            unplaced.append(Unplaced(document, missing))
            continue
        outer = {loop.name: reading.key_of(loop.name) for loop in reading.template.loops}
        for order, one in enumerate(reading.said):
            if isinstance(one.part, Hole) and not one.problem:
                statement = Statement(document, name, one.part.where, one.value, one.part.converter)
                steps = _steps(one.part.path, {**outer, **one.keys}, loops)
                found.setdefault(steps, []).append(((name, order, str(one.value)), statement))
    ordered = sorted(found.items(), key=lambda item: min(rank for rank, _ in item[1]))
    return {steps: [one for _, one in sorted(said, key=lambda pair: pair[0])] for steps, said in ordered}, unplaced


def grow(said: Mapping[Steps, list[Statement]], onto: dict[str, Any] | None) -> tuple[dict[str, Any], list[Conflict]]:
    """The record that the statements make, changed as little as can be from `onto`."""
    record: dict[str, Any] = deepcopy(onto) if onto else {}
    conflicts: list[Conflict] = []
    for steps, one in said.items():
        old = _get(record, steps)
        value, agreed = _settle(one, old)
        shorter = [said[steps[:-1]][0]] if steps[:-1] in said else []
        if not agreed or shorter:
            conflicts.append(Conflict(dotted_steps(steps), (*shorter, *one)))
        if value is not ABSENT and not shorter:
            _put(record, steps, value)
    _sort(record, said)
    return record, conflicts


def _settle(said: list[Statement], old: Any) -> tuple[Any, bool]:
    """One value for all that was said of a field, and whether they agree. The old value stays where it means the same."""
    converter = said[0].converter
    if not any(isinstance(one.value, Candidates) for one in said):
        meanings = {converter.meaning(one.value) for one in said}
        same = old is not ABSENT and not isinstance(old, dict) and converter.meaning(old) == converter.meaning(said[0].value)
        return (old if same else said[0].value), len(meanings) == 1
    words = frozenset.intersection(*(_words(one.value) for one in said))
    if not words:
        return _alone(said[0].value), False
    if len(words) == 1:
        return next(iter(words)), True
    if isinstance(old, str) and old in words:
        return old, True
    defaults = {one.value.default for one in said if isinstance(one.value, Candidates)} & words
    return (next(iter(defaults)), True) if len(defaults) == 1 else (_alone(said[0].value), False)


def _words(value: Any) -> frozenset[str]:
    return value.words if isinstance(value, Candidates) else frozenset([value])


def _alone(value: Any) -> Any:
    """What a statement means when nothing narrows it."""
    if not isinstance(value, Candidates):
        return value
    return value.default or (next(iter(value.words)) if len(value.words) == 1 else ABSENT)


def _loops(reading: Reading) -> dict[str, Loop]:
    return {loop.name: loop for loop in reading.template.all_loops}


def _steps(path: Path, keys: Mapping[str, Any], loops: Mapping[str, Loop]) -> Steps:
    if path.name not in loops:
        return path.fields
    loop = loops[path.name]
    value = keys[loop.name]
    return (*_steps(loop.path, keys, loops), Key(loop.key, _key_meaning(value), value), *path.fields)


def _key_meaning(value: Any) -> Any:
    """Times that are one instant are one key, however they are spelt."""
    try:
        return PLAIN["dateTime"].meaning(PLAIN["dateTime"].read(value))
    except ValueError:
        return value


def _get(record: Any, steps: Steps) -> Any:
    for step in steps:
        if isinstance(step, Key):
            record = next((item for item in record if step.is_of(item)), ABSENT) if isinstance(record, list) else ABSENT
        else:
            record = record.get(step, ABSENT) if isinstance(record, dict) else ABSENT
    return record


def _put(record: dict[str, Any], steps: Steps, value: Any) -> None:
    at: Any = record
    for step, after in pairwise(steps):
        at = _element(at, step) if isinstance(step, Key) else _child(at, step, [] if isinstance(after, Key) else {})
    last = steps[-1]
    assert isinstance(last, str)  # noqa: S101 - a field is never a whole list element
    at[last] = value


def _child(at: dict[str, Any], step: str, empty: Any) -> Any:
    if type(at.get(step)) is not type(empty):
        at[step] = empty
    return at[step]


def _element(at: list[Any], key: Key) -> dict[str, Any]:
    for item in at:
        if key.is_of(item):
            return item  # type: ignore[no-any-return]
    at.append({key.field: key.value})
    return at[-1]  # type: ignore[no-any-return]


def _sort(record: dict[str, Any], said: Iterable[Steps]) -> None:
    """Lists stand in the order of their keys: times by instant, the rest as text."""
    lists = {steps[: index + 1]: after.field for steps in said for index, after in enumerate(steps[1:]) if isinstance(after, Key)}
    for steps, key in lists.items():
        found = _get(record, steps)
        if isinstance(found, list):
            found.sort(key=lambda item: order_of(item.get(key)))


def order_of(value: Any) -> tuple[int, Any]:
    """How lists stand: times by instant, the rest as text."""
    meaning = _key_meaning(value)
    return (0, meaning) if meaning is not value and not isinstance(meaning, str) else (1, str(value))


def dotted_steps(steps: Steps) -> str:
    """`readings[taken_at].heart_rate`: the field, without saying which element (a key may be a patient's)."""
    text = ""
    for step in steps:
        text += f"[{step.field}]" if isinstance(step, Key) else f".{step}" if text else step
    return text
