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
from fhir_bridge.mapping.scope import Loop, Path, Scope

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
        if old is not ABSENT:
            return old
        reference = scope.reference(self.template, scope)
        return ABSENT if reference is None else {"reference": reference}

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        if isinstance(value, dict) and isinstance(value.get("reference"), str):
            said.append(Said(self, at, value["reference"], claims=tuple((*at, part) for part in ("reference", "type", "display"))))
        return ""

    def there(self, scope: Scope) -> bool:
        return scope.reference(self.template, scope) is not None


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


@dataclass(frozen=True, slots=True, eq=False)
class Obj(Part):
    parts: dict[str, Part]
    where: str = ""
    certain: bool = False
    #: the parts that decide whether the object exists: those with fields; without any, those with references
    counting: tuple[Part, ...] = field(init=False)
    #: what is asked for when reading, before anything else is looked at
    asked: tuple[tuple[str, Part], ...] = field(init=False)
    others: tuple[tuple[str, Part], ...] = field(init=False)

    def __post_init__(self) -> None:
        soft = {key for key, part in self.parts.items() if key in SOFT and isinstance(part, Const)}
        asked = tuple((key, part) for key, part in self.parts.items() if part.certain and key not in soft)
        object.__setattr__(self, "asked", asked)
        object.__setattr__(self, "others", tuple((key, part) for key, part in self.parts.items() if not part.certain or key in soft))
        object.__setattr__(self, "counting", self._with(Hole) or self._with(Ref))

    def _with(self, kind: type[Part]) -> tuple[Part, ...]:
        return tuple(part for part in self.parts.values() if any(isinstance(one, kind) for one in part.inner()))

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        fresh = not isinstance(old, dict)
        there = self.certain or self.there(scope)
        if fresh and not there:
            return ABSENT
        found = {} if fresh else dict(old)
        for key, part in self.parts.items():
            before = found.get(key, ABSENT)
            if not fresh and (isinstance(part, OneWay) or (isinstance(part, Const) and (key in SOFT or not there))):
                continue
            after = part.write(scope, before)
            if after is ABSENT:
                found.pop(key, None)
            else:
                found[key] = after
            if before is not ABSENT and after is not before and after != before:
                found.pop(f"_{key}", None)  # it qualified the old value
        return found if there or self._holds_more(found) else ABSENT

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        if not isinstance(value, dict):
            return f"{dotted(at)} is not an object"
        if unknown := MODIFIERS.intersection(value).difference(self.parts):
            return f"{dotted((*at, *unknown))} changes the meaning of what it stands in, and is not understood"
        for key, part in self.asked:
            found = value.get(key, ABSENT)
            if reason := f"{dotted((*at, key))} is missing" if found is ABSENT else part.read(found, (*at, key), said):
                return reason
        for key, part in self.others:
            if key in value:
                self._read_one(part, value[key], (*at, key), said)
        return ""

    def there(self, scope: Scope) -> bool:
        return any(part.there(scope) for part in self.counting) if self.counting else True

    def inner(self) -> Iterator[Part]:
        yield self
        for part in self.parts.values():
            yield from part.inner()

    def _read_one(self, part: Part, value: Any, at: At, said: list[Said]) -> None:
        """A part that may be missing: when it is there and not as it is written here, that is said and nothing else is lost."""
        if isinstance(part, Const):
            said.append(Said(part, at, claims=(at,)))
            return
        mark = len(said)
        if reason := part.read(value, at, said):
            said[mark:] = [Said(part, at, problem=reason)]

    def _holds_more(self, found: dict[str, Any]) -> bool:
        return any(not isinstance(self.parts.get(key), Const) for key in found)


@dataclass(frozen=True, slots=True, eq=False)
class Each(Part):
    """A list item written once for every element of a list of the record, inside one resource."""

    loop: Loop
    part: Obj
    where: str = ""

    def there(self, scope: Scope) -> bool:
        return any(self.part.there(inside) for inside in scope.inside(self.loop))

    def inner(self) -> Iterator[Part]:
        yield self
        yield from self.part.inner()


@dataclass(frozen=True, slots=True, eq=False)
class Arr(Part):
    """A list: each item takes the first element that fits it, and every element serves one item; the others are left alone."""

    items: tuple[Part, ...]
    where: str = ""
    certain: bool = False

    def write(self, scope: Scope, old: Any = ABSENT) -> Any:
        elements: list[Any] = list(old) if isinstance(old, list) else []
        used: set[int] = set()
        for item in self.items:
            for part, inside in self._copies(item, scope):
                self._write_one(part, inside, elements, used, item)
            if isinstance(item, Each):
                self._drop_unsaid(item, scope, elements, used)
        kept = [element for element in elements if element is not ABSENT]
        return kept or ABSENT

    def read(self, value: Any, at: At, said: list[Said]) -> str:
        if not isinstance(value, list):
            return f"{dotted(at)} is not a list"
        used: set[int] = set()
        for item in self.items:
            found = False
            for index, element in enumerate(value):
                if index not in used and (found is False or isinstance(item, Each)) and fits(item, element, (*at, index), said):
                    used.add(index)
                    found = True
            if item.certain and not found:
                return f"{dotted(at)} has no element as it is written here"
        return ""

    def there(self, scope: Scope) -> bool:
        return any(item.there(scope) for item in self.items if not item.certain) or self.certain

    def inner(self) -> Iterator[Part]:
        yield self
        for item in self.items:
            yield from item.inner()

    def _copies(self, item: Part, scope: Scope) -> Iterator[tuple[Part, Scope]]:
        if isinstance(item, Each):
            yield from ((item.part, inside) for inside in scope.inside(item.loop))
        else:
            yield item, scope

    def _write_one(self, part: Part, scope: Scope, elements: list[Any], used: set[int], item: Part) -> None:
        free = [index for index, old in enumerate(elements) if index not in used and old is not ABSENT]
        fitting = [index for index in free if self._same(item, scope, elements[index])]
        unchanged = (index for index in fitting if part.write(scope, elements[index]) == elements[index])
        index = next(unchanged, fitting[0] if fitting else None)
        if index is None:
            after = part.write(scope)
            if after is ABSENT:
                return
            elements.append(after)
            index = len(elements) - 1
        else:
            elements[index] = part.write(scope, elements[index])
        used.add(index)

    def _same(self, item: Part, scope: Scope, old: Any) -> bool:
        """May `old` become what is written now? It must fit, and inside a loop it must have the same key."""
        said: list[Said] = []
        if not fits(item, old, (), said):
            return False
        if not isinstance(item, Each):
            return True
        key = next(one for one in said if isinstance(one.part, Hole) and one.part.path == item.loop.key_path)
        assert isinstance(key.part, Hole)  # noqa: S101 - what the line above chose
        return agrees(key.part.converter, key.value, scope.find(item.loop.key_path))

    def _drop_unsaid(self, item: Each, scope: Scope, elements: list[Any], used: set[int]) -> None:
        for index, old in enumerate(elements):
            if index not in used and old is not ABSENT and fits(item, old, (), []):
                elements[index] = ABSENT


def escape(text: str, end: str) -> str:
    """Free text must not hold the character that ends it: that one and `%` are percent-encoded."""
    if not end or (end not in text and "%" not in text):
        return text
    return text.replace("%", "%25").replace(end, f"%{ord(end):02X}")


def fits(item: Part, element: Any, at: At, said: list[Said]) -> bool:
    """Is `element` the one that `item` writes? Adds what it says; an element that says nothing readable fits only by its constants."""
    mark = len(said)
    part = item.part if isinstance(item, Each) else item
    if not part.read(element, at, said):
        found = said[mark:]
        told = any(isinstance(one.part, Const) for one in found) or not any(one.problem for one in found)
        if told and not isinstance(item, Each):
            return True
        keys = [one for one in found if isinstance(item, Each) and isinstance(one.part, Hole) and one.part.path == item.loop.key_path]
        if told and isinstance(item, Each) and keys and keys[0].value is not ABSENT:
            for one in found:
                one.keys[item.loop.name] = keys[0].value
            return True
    del said[mark:]
    return False


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
