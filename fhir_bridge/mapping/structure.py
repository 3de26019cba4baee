"""The parts that hold others: objects and lists. Here it is decided which element of a list is which, and when an object exists."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.mapping.converters import ABSENT
from fhir_bridge.mapping.parts import MODIFIERS, SOFT, At, Const, Hole, OneWay, Part, Ref, Said, agrees, dotted
from fhir_bridge.mapping.scope import Loop, Scope


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
            other = at[-1] == "text" and value != part.value  # a display repeats its code, a text may say more than ours
            said.append(Said(part, at, claims=() if other else (at,)))
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
