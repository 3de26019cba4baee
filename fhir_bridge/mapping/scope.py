"""Where a placeholder looks: the record, the loops over its lists, and the paths through them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_bridge.mapping.converters import ABSENT


@dataclass(frozen=True, slots=True)
class Path:
    """`<reading.blood_pressure.systolic>`: the name of a loop (empty: the record), and the fields from there."""

    name: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.name, *self.fields) if self.name else self.fields)


@dataclass(frozen=True, slots=True)
class Loop:
    """`each: reading in readings by taken_at`: one copy for each element of a list, told apart by `key`."""

    name: str
    path: Path
    key: str

    @property
    def key_path(self) -> Path:
        return Path(self.name, (self.key,))

    def elements(self, scope: "Scope") -> list[Any]:
        found = scope.find(self.path)
        return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Scope:
    """What each name stands for at one place of one record, and how a reference to another template's resource is made.

    `reference(template, scope, before)` gives what is to stand there, where `before` stood until now; None where the record has no
    such resource.
    """

    names: Mapping[str, Any]
    reference: "Callable[[str, Scope, str | None], str | None]"
    loops: tuple[Loop, ...] = ()

    def find(self, path: Path) -> Any:
        value = self.names.get(path.name, ABSENT)
        for field in path.fields:
            if not isinstance(value, dict):
                return ABSENT
            value = value.get(field, ABSENT)
        return value

    def inside(self, loop: Loop) -> "Iterator[Scope]":
        for element in loop.elements(self):
            yield Scope({**self.names, loop.name: element}, self.reference, (*self.loops, loop))

    def where(self, path: Path) -> str:
        """`path` as a person would look it up in the record: `drugs[2].steps[0].dose`."""
        loop = next((loop for loop in self.loops if loop.name == path.name), None)
        if loop is None:
            return ".".join(path.fields)
        elements, element = loop.elements(self), self.names[loop.name]
        index = next((index for index, other in enumerate(elements) if other is element), 0)
        return ".".join((f"{self.where(loop.path)}[{index}]", *path.fields))


def absolute(path: Path, loops: Iterable[Loop]) -> tuple[str, ...]:
    """A path from the record on, with `[]` behind each list: `("readings[]", "heart_rate")`."""
    known = list(loops)
    loop = next((loop for loop in known if loop.name == path.name), None)
    if loop is None:
        return path.fields
    *outer, last = absolute(loop.path, known)
    return (*outer, f"{last}[]", *path.fields)
