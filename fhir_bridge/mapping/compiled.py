"""The templates as straight-line Python: one function that writes a whole record, with no tree walked.

A shortcut, and nothing more: it answers what the plain writer would answer, or it raises and the plain writer is asked, which
then says what is wrong. Template text enters the generated source by `repr` only, and names are numbered, so that no template
can write Python. What is constant is built once and shared by every resource: nobody may change a resource in place.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.mapping.converters import ABSENT, Quantity, table_of
from fhir_bridge.mapping.parts import Hole, OneWay, Part, Ref, Text, escape
from fhir_bridge.mapping.scope import Loop, Path, Scope
from fhir_bridge.mapping.structure import Arr, Each, Obj
from fhir_bridge.mapping.template import Template, resource_id

WriteAll = Callable[[dict[str, Any]], list[dict[str, Any]]]


def compile_writer(templates: Iterable[Template]) -> WriteAll:
    """`write(record) -> resources`, equal to what the plain writer gives; raises on whatever it does not expect."""
    writer = _Compiler(list(templates))
    source = writer.source()
    names: dict[str, Any] = {"A": ABSENT, "escape": escape, "rid": resource_id, **writer.constants}
    exec(compile(source, "<templates>", "exec"), names)  # noqa: S102 - our own source, made from checked templates
    return names["write"]  # type: ignore[no-any-return]


@dataclass(slots=True)
class _Level:
    """A loop and the templates whose innermost loop it is; the names of what was already computed here or further out."""

    loops: tuple[Loop, ...]
    known: dict[Any, str]


@dataclass(slots=True)
class _Compiler:
    templates: list[Template]
    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    indent: int = 1
    count: int = 0

    def source(self) -> str:
        self.emit(f"{''.join(f'o{index} = []; ' for index in range(len(self.templates)))}")
        self.level(_Level((), {Path("", ()): "record"}))
        self.emit(f"return [{', '.join(f'*o{index}' for index in range(len(self.templates)))}]")
        return "def write(record):\n" + "\n".join(self.lines) + "\n"

    def level(self, level: _Level) -> None:
        """All that has exactly these loops, then the loops inside them."""
        here = [(index, template) for index, template in enumerate(self.templates) if template.loops == level.loops]
        for _, template in here:
            self.identify(template, level)
        for index, template in here:
            condition = level.known[("exists", template.name)]
            self.emit(f"if {condition}:")
            with _Block(self):
                self.resource(index, template, _Level(level.loops, dict(level.known)))
        inner = dict.fromkeys(template.loops[: len(level.loops) + 1] for template in self.templates)
        for loops in inner:
            if len(loops) == len(level.loops) + 1 and loops[:-1] == level.loops:
                element = self.loop(loops[-1], level)
                with _Block(self):
                    self.level(_Level(loops, {**level.known, Path(loops[-1].name, ()): element}))

    def loop(self, loop: Loop, level: _Level) -> str:
        elements, element = self.at(loop.path, level), self.name("n")
        self.emit(f"for {element} in ({elements} if {elements}.__class__ is list else ()):")
        return element

    def identify(self, template: Template, level: _Level) -> None:
        """Whether the resource exists, its identifier, and the reference to it."""
        found = self.at(template.when.path, level)
        asked = f"{found} is not A"
        if template.when.table:
            asked = (
                f"{found} is not A and {found} in {self.constant({word for word, codes in template.when.table.written.items() if codes})}"
            )
        exists, id, ref = self.name("x"), self.name("i"), self.name("f")
        identity = self.value(template.identity, level)
        self.emit(f"{exists} = {asked}")
        self.emit(f"{id} = rid({self.constant(template.prefix)}, {identity}) if {exists} else A")
        self.emit(f"{ref} = {{'reference': {template.type + '/'!r} + {id}}} if {exists} else A")
        level.known.update({("exists", template.name): exists, ("id", template.name): id, ("ref", template.name): ref})

    def resource(self, index: int, template: Template, level: _Level) -> None:
        head = {"resourceType": repr(template.type), "id": level.known[("id", template.name)]}
        parts = {key: part for key, part in template.resource.parts.items() if key != "resourceType"}
        self.emit(f"o{index}.append({self.fill(head, parts, level)})")

    def value(self, part: Part, level: _Level) -> str:
        """An expression of the part's value where its condition holds; what it needs is emitted before it."""
        match part:
            case _ if part.certain:
                return self.constant(part.write(Scope({}, lambda *_: None)))
            case OneWay():
                return self.value(part.part, level)
            case Hole():
                return self.hole(part, level)
            case Text():
                return self.text(part, level)
            case Ref():
                return self.reference(part, level)
            case Obj():
                return self.fill({}, part.parts, level)
            case Arr():
                return self.array(part, level)
        raise TypeError(f"{type(part).__name__} has no value of its own")

    def condition(self, part: Part, level: _Level) -> str:
        """When the part is there; empty for always."""
        match part:
            case _ if part.certain:
                return ""
            case OneWay():
                return self.condition(part.part, level)
            case Hole():
                return f"{self.hole(part, level)} is not A"
            case Text():
                return " and ".join(dict.fromkeys(self.condition(hole, level) for hole in part.holes))
            case Ref():
                return f"{self.reference(part, level)} is not A"
            case Obj():
                return self.any_of(part.counting, level)
            case Arr():
                return self.any_of(part.items, level)
            case Each():
                return self.at(part.loop.path, level) + " is not A"
        raise TypeError(f"{type(part).__name__} has no condition")

    def any_of(self, parts: Iterable[Part], level: _Level) -> str:
        found = list(dict.fromkeys(self.condition(part, level) for part in parts))
        return "" if "" in found else " or ".join(f"({one})" if " and " in one else one for one in found)

    def fill(self, head: dict[str, str], parts: dict[str, Part], level: _Level) -> str:
        """A dict with the parts that are there, in the template's order."""
        late = {key: condition for key, part in parts.items() if (condition := self.condition(part, level))}
        early = dict(head)
        for key, part in parts.items():
            if key in late:
                break
            early[key] = self.value(part, level)
        literal = "{" + ", ".join(f"{key!r}: {value}" for key, value in early.items()) + "}"
        if len(early) == len(head) + len(parts):
            return literal
        found = self.name("t")
        self.emit(f"{found} = {literal}")
        for key, part in parts.items():
            if key in late:
                self.when(late[key], f"{found}[{key!r}] = ", part, level)
            elif key not in early:
                self.emit(f"{found}[{key!r}] = {self.value(part, level)}")
        return found

    def when(self, condition: str, target: str, part: Part, level: _Level) -> None:
        self.emit(f"if {condition}:")
        with _Block(self):
            value = self.value(part, _Level(level.loops, dict(level.known)))
            self.emit(f"{target}{value}")

    def array(self, part: Arr, level: _Level) -> str:
        conditions = [self.condition(item, level) for item in part.items]
        if len(part.items) == 1 and not isinstance(part.items[0], Each):
            return f"[{self.value(part.items[0], level)}]"
        found = self.name("t")
        self.emit(f"{found} = []")
        for item, condition in zip(part.items, conditions, strict=True):
            if isinstance(item, Each):
                self.each(item, found, level)
            elif condition:
                self.emit(f"if {condition}:")
                with _Block(self):
                    self.emit(f"{found}.append({self.value(item, _Level(level.loops, dict(level.known)))})")
            else:
                self.emit(f"{found}.append({self.value(item, level)})")
        return found

    def each(self, part: Each, target: str, level: _Level) -> None:
        element = self.loop(part.loop, level)
        with _Block(self):
            inside = _Level(level.loops, {**level.known, Path(part.loop.name, ()): element})
            self.emit(f"{target}.append({self.value(part.part, inside)})")

    def reference(self, ref: Ref, level: _Level) -> str:
        if ("ref", ref.template) not in level.known:  # the resource of another template for each element of a loop in here
            self.identify(next(template for template in self.templates if template.name == ref.template), level)
        return level.known[("ref", ref.template)]

    def hole(self, hole: Hole, level: _Level) -> str:
        """The name of the field as it is written: A where the record says nothing, or a reason why there is nothing."""
        key = ("hole", hole.path, hole.converter)
        if key not in level.known:
            raw, found = self.at(hole.path, level), self.name("h")
            self.emit(f"{found} = A if {raw} is A or {raw}.__class__ is dict else {self.written(hole, raw)}")
            level.known[key] = found
        return level.known[key]

    def written(self, hole: Hole, raw: str) -> str:
        table = table_of(hole.converter)
        if table is not None:
            return f"{self.constant({word: hole.converter.write(word) for word in table.written})}[{raw}]"
        if isinstance(hole.converter, Quantity):
            unit = hole.converter.write(None)
            rest = ", ".join(f"{key!r}: {value!r}" for key, value in unit.items() if key != "value")
            return f"{{'value': {raw}, {rest}}}"
        return raw

    def text(self, text: Text, level: _Level) -> str:
        key = ("text", text.pieces)
        if key not in level.known:
            pieces = [piece if isinstance(piece, str) else self.escaped(index, text, level) for index, piece in enumerate(text.pieces)]
            terms = [repr(piece) if isinstance(text.pieces[index], str) else piece for index, piece in enumerate(pieces)]
            found = self.name("s")
            self.emit(f"{found} = {' + '.join(terms)} if {self.condition(text, level) or 'True'} else A")
            level.known[key] = found
        return level.known[key]

    def escaped(self, index: int, text: Text, level: _Level) -> str:
        hole = text.pieces[index]
        assert isinstance(hole, Hole)  # noqa: S101 - the caller asks for holes only
        value, ends = self.hole(hole, level), text.ends(index)
        if not ends:
            return value
        key = ("escaped", hole.path, hole.converter, ends)
        if key not in level.known:
            found = self.name("e")
            self.emit(f"{found} = escape({value}, {ends!r}) if {value} is not A else A")
            level.known[key] = found
        return level.known[key]

    def at(self, path: Path, level: _Level) -> str:
        """The name of what stands at `path`, looked up once where its loop begins."""
        if path not in level.known:
            outer, found = self.at(Path(path.name, path.fields[:-1]), level), self.name("v")
            get = f"{outer}.get({path.fields[-1]!r}, A)"
            self.emit(f"{found} = {get if len(path.fields) == 1 else f'{get} if {outer}.__class__ is dict else A'}")
            level.known[path] = found
        return level.known[path]

    def constant(self, value: Any) -> str:
        key = repr(value)
        if key not in self.shared:
            self.shared[key] = self.name("C")
            self.constants[self.shared[key]] = value
        return self.shared[key]

    def name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)


@dataclass(slots=True)
class _Block:
    """An indented block."""

    compiler: _Compiler

    def __enter__(self) -> None:
        self.compiler.indent += 1

    def __exit__(self, *_: object) -> None:
        self.compiler.indent -= 1
