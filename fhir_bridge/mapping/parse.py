"""From YAML to parts: the words of a template file, and `<placeholders>` in its strings."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fhir_bridge.mapping.codes import CodeTable, Unit
from fhir_bridge.mapping.converters import PLAIN, WITH_TABLE, Converter, Quantity
from fhir_bridge.mapping.parts import Const, Hole, OneWay, Part, Ref, Text
from fhir_bridge.mapping.scope import Loop, Path
from fhir_bridge.mapping.source import Faults, Located
from fhir_bridge.mapping.structure import Arr, Each, Obj
from fhir_bridge.mapping.template import Template, When, name_prefix

WORDS = ("each", "table", "when", "identity", "resource", "to_fhir only")
_HOLE = re.compile(r"<([^<>]*)>")
_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
_EACH = re.compile(r"(?P<name>[a-z_]+) in (?P<path>[a-z_.]+) by (?P<key>[a-z_]+)")
_DOLLAR = re.compile(r"\$([a-z_]+)")
_IN_TEXTS = [PLAIN[name] for name in ("text", "date", "dateTime", "instant")]
_FREE, _FEW = "(.+?)", "([0-9TZ:.+-]+)"


@dataclass(slots=True)
class Tables:
    """What templates may name: code tables, units, tables of rows, and the constants of the site."""

    codes: dict[str, CodeTable] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    site: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Parser:
    """Reads one template file once for each row of its table (or once), and remembers which names it used."""

    tables: Tables
    faults: Faults
    dollars: Mapping[str, str] = field(default_factory=dict)
    loops: dict[str, Loop] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    stated: dict[str, str] = field(default_factory=dict)

    def templates(self, name: str, node: Located) -> Iterator[Template]:
        words = node.map(self.faults)
        for word in words.keys() - set(WORDS):
            self.faults.add(words[word], f"{word} is not a word of a template; it has {', '.join(WORDS)}")
        missing = [word for word in ("when", "identity", "resource") if word not in words]
        for word in missing:
            self.faults.add(node, f"has no `{word}`")
        if missing:
            return
        if "table" not in words:
            self.dollars = self.tables.site
            yield self._template(name, name, words)
            return
        table = words["table"].text(self.faults)
        self.used.add(table)
        if table not in self.tables.rows:
            self.faults.add(words["table"], f"there is no table of rows codes/{table}.yaml")
        for row in self.tables.rows.get(table, ()):
            self.dollars = {**self.tables.site, **row}
            yield self._template(name, f"{name}:{next(iter(row.values()))}", words)

    def _template(self, file: str, name: str, words: dict[str, Located]) -> Template:
        self.loops = {}
        self.stated = dict(self._stated(words["resource"]))
        for each in self._each(words):
            self._loop(each)
        loops = tuple(self.loops.values())
        identity = self.part(words["identity"])
        if not isinstance(identity, Hole | Text):
            self.faults.add(words["identity"], "must name the fields that make it the same resource for ever")
            identity = Hole(Path("", ("id",)), PLAIN["text"], words["identity"].where)
        resource = self.part(words["resource"], identity)
        if not isinstance(resource, Obj):
            self.faults.add(words["resource"], "must be the resource")
            resource = Obj({}, words["resource"].where)
        resource, only = self._one_way(resource, words.get("to_fhir only"))
        prefix = name_prefix(self.tables.site.get("system", ""), file)
        return Template(name, words["resource"].where, loops, self._when(words["when"]), identity, resource, prefix, only)

    def _each(self, words: dict[str, Located]) -> list[Located]:
        if "each" not in words:
            return []
        node = words["each"]
        return node.value if isinstance(node.value, list) else [node]

    def _loop(self, node: Located) -> Loop:
        match = _EACH.fullmatch(self._filled(node))
        if match is None:
            self.faults.add(node, "must read `NAME in PATH by KEY`, such as `reading in readings by taken_at`")
            return Loop("", Path("", ()), "")
        loop = Loop(match["name"], self._path(match["path"], node), match["key"])
        self.loops[loop.name] = loop
        return loop

    def _when(self, node: Located) -> When:
        part = self.part(node)
        if isinstance(part, Hole):
            return When(part.path, getattr(part.converter, "table", None))
        self.faults.add(node, "must be one field: `<path>` or `<path | code TABLE>`")
        return When(Path("", ()))

    def _one_way(self, resource: Obj, node: Located | None) -> tuple[Obj, str]:
        if node is None:
            return resource, ""
        if isinstance(node.value, str):
            return resource, node.value
        parts = dict(resource.parts)
        for element, reason in node.map(self.faults).items():
            if element not in parts:
                self.faults.add(reason, f"{element} is not in this resource")
            elif not reason.text(self.faults):
                self.faults.add(reason, "needs the reason why it is written only")
            else:
                parts[element] = OneWay(parts[element], reason.where)
        return Obj(parts, resource.where, resource.certain), ""

    def part(self, node: Located, identity: Part | None = None) -> Part:
        if isinstance(node.value, dict):
            return self._object(node.value, node, identity)
        if isinstance(node.value, list):
            items = tuple(self.part(item, identity) for item in node.value)
            return Arr(items, node.where, bool(items) and all(item.certain for item in items))
        if node.value in ("true", "false") and not node.quoted:
            return Const(node.value == "true", node.where)
        return self._string(node, identity)

    def _object(self, parts: dict[str, Located], node: Located, identity: Part | None) -> Part:
        if "each" not in parts:
            inner = {key: self.part(value, identity) for key, value in parts.items()}
            return Obj(inner, node.where, all(part.certain for part in inner.values()))
        loop = self._loop(parts["each"])
        inner = {key: self.part(value, identity) for key, value in parts.items() if key != "each"}
        self.loops.pop(loop.name, None)
        return Each(loop, Obj(inner, node.where), node.where)

    def _string(self, node: Located, identity: Part | None) -> Part:
        text = self._filled(node)
        pieces = [piece for piece in _split(text) if piece != ""]
        if pieces == ["<identity>"] and identity is not None:
            return identity
        if not any(_HOLE.fullmatch(piece) for piece in pieces):
            return Const(text, node.where)
        parts = [self._placeholder(piece[1:-1], node) if _HOLE.fullmatch(piece) else piece for piece in pieces]
        if len(parts) == 1 and isinstance(parts[0], Hole | Ref):
            return parts[0]
        return self._text(parts, node)

    def _text(self, parts: "list[str | Hole | Ref]", node: Located) -> Text:
        pattern = ""
        pieces: list[str | Hole] = []
        for before, part in zip([None, *parts], parts, strict=False):
            if isinstance(part, Ref):
                self.faults.add(node, f"<ref {part.template}> must stand alone")
                continue
            if isinstance(before, Hole) and isinstance(part, Hole):
                self.faults.add(node, f"nothing stands between <{before.path}> and <{part.path}>, so they cannot be told apart again")
            if isinstance(before, Hole) and isinstance(part, str) and part[0] in (before.converter.alphabet or ()):
                self.faults.add(node, f"{part[0]!r} can be part of <{before.path}>, so where it ends cannot be told again")
            if isinstance(part, Hole) and part.converter not in _IN_TEXTS:
                self.faults.add(node, f"<{part.path} | {part.converter.name}> cannot be part of a text; give it a place of its own")
            pattern += re.escape(part) if isinstance(part, str) else _FREE if part.converter.alphabet is None else _FEW
            pieces.append(part)
        return Text(tuple(pieces), re.compile(pattern, re.DOTALL), node.where)

    def _placeholder(self, text: str, node: Located) -> Hole | Ref:
        if text.startswith("ref "):
            return Ref(text.removeprefix("ref ").strip(), node.where)
        path, _, converter = (piece.strip() for piece in text.partition("|"))
        return Hole(self._path(path, node), self._converter(converter or self.stated.get(path, "text"), node), node.where)

    def _stated(self, node: Located) -> Iterator[tuple[str, str]]:
        """The converters stated in the resource: a bare `<path>` elsewhere in the file is read the same way."""
        if isinstance(node.value, str):
            for match in _HOLE.finditer(node.value):
                path, _, converter = (piece.strip() for piece in self._filled(Located(match[1], node.where)).partition("|"))
                if converter in PLAIN:
                    yield path, converter
            return
        for inner in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from self._stated(inner)

    def _path(self, text: str, node: Located) -> Path:
        if not _PATH.fullmatch(text):
            self.faults.add(node, f"<{text}> is not a path: lower-case fields with dots between them")
        first, *rest = text.split(".")
        return Path(first, tuple(rest)) if first in self.loops else Path("", (first, *rest))

    def _converter(self, text: str, node: Located) -> Converter:
        name, _, argument = (piece.strip() for piece in text.partition(" "))
        if name in PLAIN and not argument:
            return PLAIN[name]
        self.used.add(argument)
        if name in WITH_TABLE and argument in self.tables.codes:
            return WITH_TABLE[name](self.tables.codes[argument])
        if name == "quantity" and argument in self.tables.units:
            return Quantity(self.tables.units[argument])
        if name in WITH_TABLE or name == "quantity":
            self.faults.add(
                node, f"{name} {argument}: there is no such {'unit in codes/units.yaml' if name == 'quantity' else 'table in codes/'}"
            )
        else:
            self.faults.add(node, f"{text} is not a converter; there are {', '.join([*PLAIN, *WITH_TABLE, 'quantity'])}")
        return PLAIN["text"]

    def _filled(self, node: Located) -> str:
        """The text with each `$name` put in: a column of the row, or a constant of the site."""

        def value(match: re.Match[str]) -> str:
            self.used.add(match[0])
            if match[1] not in self.dollars:
                self.faults.add(node, f"{match[0]} is neither a column of the table nor a constant of the site")
            return self.dollars.get(match[1], "")

        return _DOLLAR.sub(value, node.text(self.faults))


def _split(text: str) -> list[str]:
    """`a<b>c` as `a`, `<b>`, `c`."""
    pieces, last = [], 0
    for match in _HOLE.finditer(text):
        pieces += [text[last : match.start()], match[0]]
        last = match.end()
    return [*pieces, text[last:]]
