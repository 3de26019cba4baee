"""A fast reader for resources that are exactly as we write them: it guesses the record, and proves the guess by writing it.

What reading costs is care: is every constant as it should be, does anything stand here that nothing understands? The shortcut
takes the fields from the places where the templates put them, without care, and then lets the compiled writer make the
resources of that record. If those are the resources that were read, nothing is left unsaid and the record is right, because
`from_fhir(to_fhir(r)) == r`. At the first difference it gives up and the plain reader is asked. It decides nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from fhir_bridge.mapping.codes import Candidates
from fhir_bridge.mapping.compiled import WriteAll
from fhir_bridge.mapping.converters import ABSENT
from fhir_bridge.mapping.parts import Hole, Part, Text
from fhir_bridge.mapping.read import BOOKKEEPING
from fhir_bridge.mapping.record import order_of
from fhir_bridge.mapping.scope import Loop, Path, Scope
from fhir_bridge.mapping.structure import Arr, Each, Obj
from fhir_bridge.mapping.template import Template

Record = dict[str, Any]
Links = dict[str, list[str]]
ReadAll = Callable[[Sequence[Mapping[str, Any]]], tuple[Record, Links] | None]
_NOWHERE = Scope({}, lambda *_: None)
_META = frozenset(at[1] for at in BOOKKEEPING if len(at) == 2)


def compile_reader(by_type: Mapping[str, list[Template]], write: WriteAll) -> ReadAll:
    """`read(resources) -> (record, links)`, or None when the resources are not exactly what `write` makes of one record."""
    readers = {kind: _compiled(templates) for kind, templates in by_type.items()}

    def read(resources: Sequence[Mapping[str, Any]]) -> tuple[Record, Links] | None:
        record: Record = {}
        links: Links = {}
        elements: dict[Any, Any] = {}
        lists: dict[int, tuple[list[Any], str]] = {}
        try:
            for resource in resources:
                kind = resource["resourceType"]
                template = readers[kind](resource, record, elements, lists)
                if template:
                    links.setdefault(template, []).append(f"{kind}/{resource['id']}")
            return (record, links) if _in_order(lists) and _same(write(record), resources) else None
        except Exception:  # whatever is not as we write it is the plain reader's
            return None

    return read


def _compiled(templates: list[Template]) -> Callable[..., str]:
    maker = _Maker()
    for template in templates:
        maker.template(template)
    source = "def read(d, record, elements, lists):\n" + "\n".join(maker.lines) + "\n    raise LookupError\n"
    names: dict[str, Any] = {"A": ABSENT, "Candidates": Candidates, **maker.constants}
    exec(compile(source, "<templates>", "exec"), names)  # noqa: S102 - our own source, made from checked templates
    return names["read"]  # type: ignore[no-any-return]


def _in_order(lists: Mapping[int, tuple[list[Any], str]]) -> bool:
    """Sorts the lists by their keys; two keys that mean the same are one element, which only the plain reader can tell."""
    for found, key in lists.values():
        found.sort(key=lambda item: order_of(item[key]))
        if any(order_of(one[key]) == order_of(other[key]) for one, other in pairwise(found)):
            return False
    return True


def _same(written: list[Record], resources: Sequence[Mapping[str, Any]]) -> bool:
    if len(written) != len(resources):
        return False
    by_id = {(resource["resourceType"], resource["id"]): resource for resource in written}
    return all(_bare(resource) == by_id.pop((resource["resourceType"], resource["id"]), None) for resource in resources)


def _bare(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource without what its server keeps for itself."""
    if "meta" not in resource or not _META.issuperset(resource["meta"]):
        return resource
    return {key: value for key, value in resource.items() if key != "meta"}


@dataclass(slots=True)
class _Maker:
    """Generates the reader of one type of resource: a branch for each of its templates."""

    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    loops: dict[str, Loop] = field(default_factory=dict)
    fields: dict[Path, str] = field(default_factory=dict)
    lists: dict[int, str] = field(default_factory=dict)
    indent: int = 1
    count: int = 0

    def template(self, template: Template) -> None:
        self.emit(f"if {self.matches(template.resource, 'd')}:")
        self.indent += 1
        if not template.only_to_fhir:
            self.loops = {loop.name: loop for loop in template.loops}
            self.read(template.resource, "d", list(template.loops), {"": "record"})
        self.emit(f"return {'' if template.only_to_fhir else template.name!r}")  # what is only written is no link either
        self.indent -= 1

    def read(self, part: Obj, value: str, loops: list[Loop], places: dict[str, str]) -> None:
        """Take the fields out of `value`, then put them into the record."""
        outer, self.fields = self.fields, {}
        for path in dict.fromkeys(hole.path for hole in _holes(part)):
            self.fields[path] = self.name("p")
        if self.fields:
            self.emit(" = ".join(self.fields.values()) + " = A")
        lists = {id(each): (each, self.name("l")) for each in _eaches(part)}
        outer_lists, self.lists = self.lists, {key: name for key, (_, name) in lists.items()}
        for name in self.lists.values():
            self.emit(f"{name} = ()")
        self.take(part, value)
        places = dict(places)
        for loop in loops:
            places[loop.name] = self.element(loop, self.fields[loop.key_path], places)
        for path, name in self.fields.items():
            self.put(path, name, places)
        for each, name in lists.values():
            self.each(each, name, places)
        self.fields, self.lists = outer, outer_lists

    def take(self, part: Obj, value: str) -> None:
        for key, inner in part.parts.items():
            if isinstance(inner, Hole | Text | Obj | Arr) and any(isinstance(one, Hole | Each) for one in inner.inner()):
                found = self.name("v")
                self.emit(f"{found} = {value}.get({key!r})")
                self.emit(f"if {found} is not None:")
                self.indent += 1
                self.take_one(inner, found)
                self.emit("pass")
                self.indent -= 1

    def take_one(self, part: Part, value: str) -> None:
        match part:
            case Hole():
                self.field(part, value)
            case Text():
                self.emit(f"m = {self.constant(part.pattern.fullmatch)}({value}).groups()")
                holes = [(place, piece) for place, piece in enumerate(part.pieces) if isinstance(piece, Hole)]
                for index, (place, hole) in enumerate(holes):
                    self.field(hole, f"{self.constant(unquote)}(m[{index}])" if part.ends(place) else f"m[{index}]")
            case Obj():
                self.take(part, value)
            case Arr():
                self.items(part, value)

    def items(self, part: Arr, value: str) -> None:
        if len(part.items) == 1 and not isinstance(part.items[0], Each):
            self.take_one(part.items[0], f"{value}[0]")
            return
        element = self.name("e")
        for item in part.items:
            if isinstance(item, Each):
                self.emit(f"{self.lists[id(item)]} = [e for e in {value} if {self.matches(item.part, 'e')}]")
            elif isinstance(item, Obj) and not item.certain:
                self.emit(f"for {element} in {value}:")
                self.indent += 1
                self.emit(f"if {self.matches(item, element)}:")
                self.indent += 1
                self.take(item, element)
                self.emit("break")
                self.indent -= 2

    def each(self, item: Each, elements: str, places: dict[str, str]) -> None:
        element = self.name("e")
        self.emit(f"for {element} in {elements}:")
        self.indent += 1
        self.loops[item.loop.name] = item.loop
        self.read(item.part, element, [item.loop], places)
        self.indent -= 1

    def field(self, hole: Hole, value: str) -> None:
        name = self.fields[hole.path]
        self.emit(f"if {name} is A:")
        self.emit(f"    x = {self.constant(hole.converter.read)}({value})")
        self.emit(f"    if x.__class__ is not Candidates: {name} = x")  # what is left open here is said elsewhere too

    def element(self, loop: Loop, key: str, places: dict[str, str]) -> str:
        """The element of the record's list that has this key, made where it is not there yet."""
        found, place, outer = self.name("n"), self.constant(loop), places[loop.path.name]
        self.emit(f"if {key} is A: raise LookupError")  # nothing says which element it is
        self.emit(f"k = ({place}, id({outer}), {key})")
        self.emit(f"{found} = elements.get(k)")
        self.emit(f"if {found} is None:")
        self.emit(f"    {found} = elements[k] = {{{loop.key!r}: {key}}}")
        target = outer + "".join(f".setdefault({step!r}, {{}})" for step in loop.path.fields[:-1])
        self.emit(f"    l = {target}.setdefault({loop.path.fields[-1]!r}, [])")
        self.emit(f"    l.append({found})")
        self.emit(f"    lists[id(l)] = (l, {loop.key!r})")
        return found

    def put(self, path: Path, name: str, places: dict[str, str]) -> None:
        target = places[path.name] + "".join(f".setdefault({step!r}, {{}})" for step in path.fields[:-1])
        self.emit(f"if {name} is not A: {target}[{path.fields[-1]!r}] = {name}")

    def matches(self, part: Obj, value: str) -> str:
        """The constants that an element of this kind has."""
        tests = [f"{value}.get({key!r}) == {self.constant(inner.write(_NOWHERE))}" for key, inner in part.asked]
        return " and ".join(tests) or "True"

    def constant(self, value: Any) -> str:
        name = self.name("C")
        self.constants[name] = value
        return name

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)


def _eaches(part: Part) -> Iterator[Each]:
    """The loops inside one object, without those inside them."""
    match part:
        case Each():
            yield part
        case Obj():
            for inner in part.parts.values():
                yield from _eaches(inner)
        case Arr():
            for item in part.items:
                yield from _eaches(item)


def _holes(part: Part) -> Iterator[Hole]:
    """The fields of one object, without those of the loops inside it."""
    match part:
        case Hole():
            yield part
        case Text():
            yield from part.holes
        case Obj():
            for inner in part.parts.values():
                yield from _holes(inner)
        case Arr():
            for item in part.items:
                yield from _holes(item)
