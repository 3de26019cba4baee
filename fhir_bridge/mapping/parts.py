"""What a template is made of. Every part can `write` itself from a record and `read` itself out of a resource.

The rules of the language live here, each once:

- A constant is written going out; coming back, the resource, object or list element is *not this one* without it.
  `display`, `text` and `unit` are written into what is new and never asked for.
- An object none of whose fields is there is left out. Constants and references do not count, keys do.
- `write(scope, old)` changes `old` as little as it can: a value that reads as what the record says stays as it is spelt, and
  what was not understood is never removed.
- `read` gives the reason why a value is not this part, or nothing; what it understood it adds to `said`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.mapping.converters import ABSENT, Converter
from fhir_bridge.mapping.scope import Path, Scope

#: written into what is new, never asked for
SOFT: Final = frozenset({"display", "text", "unit"})
#: elements that change what their object means: with one that the template does not name, the object is not understood
MODIFIERS: Final = frozenset({"modifierExtension", "implicitRules", "comparator"})
At = tuple[str | int, ...]


@dataclass(slots=True)
class Said:
    """One understood place of a resource: a field with its value, a field that could not be read (`problem`), or a constant."""

    part: "Part"
    at: At
    value: Any = ABSENT
    problem: str = ""
    claims: tuple[At, ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)


class Part:
    """A place in a template. `certain`: made of constants alone, so it is always written and always asked for."""

    __slots__ = ()
    certain: bool = False
    where: str = ""

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        raise NotImplementedError

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        raise NotImplementedError

    def there(self, scope: Scope) -> bool:
        """Does the record say anything for this part?"""
        raise NotImplementedError

    def inner(self) -> "Iterator[Part]":
        """This part and all parts inside it."""
        yield self


@dataclass(frozen=True, slots=True, eq=False)
class Const(Part):
    value: str | bool
    where: str = ""
    certain: bool = True

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        return self.value

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        if value != self.value or isinstance(value, bool) is not isinstance(self.value, bool):
            return f"{dotted(at)} is not {self.value!r}"
        said.append(Said(self, at, claims=(at,)))
        return ""

    def there(self, scope: Scope) -> bool:
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Hole(Part):
    """`<path | converter>`: one field of the record."""

    path: Path
    converter: Converter
    where: str = ""

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        value = self._find(scope)
        if old is not ABSENT:
            try:
                read = self.converter.read(old)
            except ValueError:
                return old if value is ABSENT else self._written(value, scope)
            if value is ABSENT or agrees(self.converter, read, value):
                return ABSENT if value is ABSENT else old
        return ABSENT if value is ABSENT else self._written(value, scope)

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        try:
            found = self.converter.read(value)
        except ValueError as error:
            said.append(Said(self, at, problem=str(error)))
        else:
            said.append(Said(self, at, found, claims=tuple((*at, *below) for below in self.converter.claims(value))))
        return ""

    def there(self, scope: Scope) -> bool:
        value = self._find(scope)
        return value is not ABSENT and self._written(value, scope) is not ABSENT

    def _find(self, scope: Scope) -> Any:
        """The field's value. An object stands for a reason why there is none, which is another placeholder's to tell."""
        value = scope.find(self.path)
        return ABSENT if isinstance(value, dict) else value

    def _written(self, value: Any, scope: Scope) -> Any:
        try:
            return self.converter.write(value)
        except ValueError as error:
            raise Refused([Fault(scope.where(self.path), str(error))]) from None


@dataclass(frozen=True, slots=True, eq=False)
class Text(Part):
    """Fields in one string, with fixed text between them: `<id>/<reading.taken_at>/heart_rate`."""

    pieces: tuple[str | Hole, ...]
    pattern: re.Pattern[str]
    where: str = ""

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Hole))

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        values = {hole: hole.write(scope) for hole in self.holes}
        if ABSENT in values.values():
            return ABSENT
        if old is not ABSENT and self._says(old, values):
            return old
        return "".join(
            piece if isinstance(piece, str) else escape(values[piece], self.ends(index)) for index, piece in enumerate(self.pieces)
        )

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        match = self.pattern.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            said.append(Said(self, at, problem="does not have the form that is written here"))
            return ""
        fields = [(index, piece) for index, piece in enumerate(self.pieces) if isinstance(piece, Hole)]
        for (index, hole), text in zip(fields, match.groups(), strict=True):
            hole.read(unquote(text) if self.ends(index) else text, at, said)
        return ""

    def there(self, scope: Scope) -> bool:
        return all(hole.there(scope) for hole in self.holes)

    def inner(self) -> Iterator[Part]:
        yield self
        yield from self.holes

    def _says(self, old: Any, values: dict[Hole, Any]) -> bool:
        said: list[Said] = []
        self.read(old, (), said)
        return all(
            isinstance(one.part, Hole) and one.part.converter.meaning(one.value) == one.part.converter.meaning(values[one.part])
            for one in said
        )

    def ends(self, index: int) -> str:
        """The character that ends the field at `index`, if the field could hold it."""
        after = self.pieces[index + 1] if index + 1 < len(self.pieces) else ""
        hole = self.pieces[index]
        return after[:1] if isinstance(after, str) and isinstance(hole, Hole) and hole.converter.alphabet is None else ""


@dataclass(frozen=True, slots=True, eq=False)
class Ref(Part):
    """`<ref encounter>`: a reference to another template's resource of the same record, and the same outer elements."""

    template: str
    where: str = ""

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        before = old.get("reference") if isinstance(old, dict) else None
        reference = scope.reference(self.template, scope, before)
        if reference is None or reference == before:
            return old
        return {"reference": reference} if old is ABSENT or before is not None else old

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            said.append(Said(self, at, value["reference"], claims=tuple((*at, part) for part in ("reference", "type", "display"))))
        return ""

    def there(self, scope: Scope) -> bool:
        return scope.reference(self.template, scope, None) is not None


@dataclass(frozen=True, slots=True, eq=False)
class OneWay(Part):
    """`to_fhir only`: written into what is new, never read, never touched again."""

    part: Part
    where: str = ""

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        return self.part.write(scope) if old is ABSENT else old

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        said.append(Said(self, at, claims=tuple((*at, *below) for below, _ in leaves(value))))
        return ""

    def there(self, scope: Scope) -> bool:
        return self.part.there(scope)


def escape(text: str, end: str) -> str:
    """Free text must not hold the character that ends it: that one and `%` are percent-encoded."""
    if not end or (end not in text and "%" not in text):
        return text
    return text.replace("%", "%25").replace(end, f"%{ord(end):02X}")


def agrees(converter: Converter, read: Any, value: Any) -> bool:
    """Does what was read mean what the record says? A code that several words share agrees with each of them."""
    words = getattr(read, "words", None)
    return value in words if words is not None else converter.meaning(read) == converter.meaning(value)


def leaves(value: Any, at: At = ()) -> Iterator[tuple[At, Any]]:
    """Every leaf of a document with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*at, index))
    else:
        yield at, value


def dotted(at: At) -> str:
    """`("component", 0, "code")` as `component[0].code`."""
    text = ""
    for step in at:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def same_reference(reference: str, known: str) -> bool:
    """`https://hospital.example/fhir/Patient/1/_history/2` is `Patient/1`."""
    one, other = (text.partition("/_history/")[0] for text in (reference, known))
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")
