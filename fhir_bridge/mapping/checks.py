"""What can be wrong with templates and tables beyond their grammar; all of it is found at load.

Checked against what the caller knows: `fields`, the tree of the records' fields, and `type_of`, which tells the FHIR type of an
element path such as `Observation.component.valueQuantity` (None when there is no such element).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fhir_bridge.mapping.codes import Candidates, CodeTable
from fhir_bridge.mapping.converters import Coding, Concept, table_of
from fhir_bridge.mapping.parse import Tables
from fhir_bridge.mapping.parts import SOFT, Const, Hole, OneWay, Part, Ref, Text
from fhir_bridge.mapping.scope import absolute
from fhir_bridge.mapping.source import Faults
from fhir_bridge.mapping.structure import Arr, Each, Obj
from fhir_bridge.mapping.template import Template, inner_holes

TypeOf = Callable[[str], str | None]
_WRITTEN_AS_TEXT = frozenset(
    {"string", "code", "uri", "url", "canonical", "id", "markdown", "base64Binary", "oid", "uuid", "date", "dateTime", "instant"}
)
_METADATA = frozenset({"source", "verified", "note", "low", "high", "about"})  # for people, and for the records (fields.py)


def check(found: list[Template], faults: Faults, *, fields: Mapping[str, Any] | None, type_of: TypeOf | None) -> None:
    """Adds every fault of the templates, each alone and as a set."""
    for template in found:
        _references(template, found, faults)
        _keys(template, faults)
        _items(template.resource, faults)
        if fields is not None:
            _fields(template, fields, faults)
        if type_of is not None:
            _elements(template, type_of, faults)
    _alike(found, faults)
    _words_come_back(found, faults)


def unused(tables: Tables, used: set[str], where: Mapping[str, str], faults: Faults) -> None:
    """A table or a column that nothing uses is a mistake in the making."""
    for name in (tables.codes.keys() | tables.rows.keys()) - used:
        faults.add(where[name], f"no template uses the table {name}")
    for name, rows in tables.rows.items():
        for column in {column for row in rows for column in row} - _METADATA:
            if name in used and f"${column}" not in used:
                faults.add(where[name], f"no template uses the column {column}")


def in_order(templates: Iterable[Template]) -> list[Template]:
    """How the templates of one type are tried on a resource: the one that asks for most first."""
    return sorted(templates, key=lambda template: (-_asked(template.resource), template.name))


def _references(template: Template, found: list[Template], faults: Faults) -> None:
    for ref in (part for part in template.resource.inner() if isinstance(part, Ref)):
        target = next((other for other in found if other.name == ref.template), None)
        if target is None:
            faults.add(ref.where, f"<ref {ref.template}>: there is no template {ref.template}.yaml")
        elif target.loops != template.all_loops[: len(target.loops)]:
            faults.add(ref.where, f"<ref {ref.template}>: that template has loops which this one is not inside")


def _keys(template: Template, faults: Faults) -> None:
    """Every loop's key must stand somewhere in the resource, or what is read could never be placed."""
    paths = {hole.path for hole in template.holes}
    for loop in template.all_loops:
        if loop.key_path not in paths:
            faults.add(template.where, f"<{loop.key_path}> is nowhere in the resource, so what is read could not be placed in {loop.path}")


def _fields(template: Template, fields: Mapping[str, Any], faults: Faults) -> None:
    loops = template.all_loops
    holes = [(hole.path, hole.where) for hole in template.holes]
    for path, where in [*holes, *((loop.key_path, template.where) for loop in loops), (template.when.path, template.where)]:
        tree: Any = fields
        for step in absolute(path, loops):
            tree = tree.get(step.removesuffix("[]")) if isinstance(tree, Mapping) else None
            if step.endswith("[]"):
                tree = tree[0] if isinstance(tree, list) and tree else None
        if tree is None:
            faults.add(where, f"<{path}>: no record has the field {'.'.join(absolute(path, loops))}")


def _elements(template: Template, type_of: TypeOf, faults: Faults) -> None:
    if not template.type or type_of(template.type) is None:
        faults.add(template.where, f"{template.type or 'nothing'} is not a resource of R4")
        return
    for path, part in _places(template.resource, template.type):
        if path.endswith(".resourceType"):
            continue
        kind = type_of(path)
        if kind is None:
            faults.add(part.where, f"{path}: R4 has no such element")
        elif isinstance(part, Hole) and kind not in part.converter.fhir_types and part.converter.name != "many":
            faults.add(part.where, f"{path} is a {kind}, which the converter {part.converter.name} does not write")
        elif isinstance(part, Ref) and kind != "Reference":
            faults.add(part.where, f"{path} is a {kind}, not a Reference")
        elif isinstance(part, Text) and kind not in _WRITTEN_AS_TEXT:
            faults.add(part.where, f"{path} is a {kind}, not text")
        elif isinstance(part, Const) and (kind == "boolean") is not isinstance(part.value, bool):
            faults.add(part.where, f"{path} is a {kind}, and true or false unquoted is a boolean")


def _places(part: Part, path: str) -> Iterator[tuple[str, Part]]:
    """Every part that fills an element, with the element's path."""
    inner = part.part if isinstance(part, OneWay | Each) else part
    if isinstance(inner, Obj):
        resource = inner.parts.get("resourceType")
        start = str(resource.value) if isinstance(resource, Const) else path
        if start != path:
            path = start  # a contained resource begins a path of its own
        for key, value in inner.parts.items():
            yield f"{path}.{key}", value
            yield from _places(value, f"{path}.{key}")
    elif isinstance(inner, Arr):
        for item in inner.items:
            yield path, item
            yield from _places(item, path)


def _items(part: Part, faults: Faults) -> None:
    for arr in (one for one in part.inner() if isinstance(one, Arr)):
        for index, later in enumerate(arr.items):
            for earlier in arr.items[:index]:
                if _accepts(_item(earlier), _item(later)):
                    faults.add(
                        later.where,
                        f"the element written here could be taken for the one of {earlier.where}; let a constant tell them apart",
                    )


def _alike(templates: list[Template], faults: Faults) -> None:
    by_type: dict[str, list[Template]] = defaultdict(list)
    for template in in_order(templates):
        by_type[template.type].append(template)
    for alike in by_type.values():
        for index, later in enumerate(alike):
            for earlier in alike[:index]:
                if _accepts(earlier.resource, later.resource):
                    faults.add(later.where, f"what {later.name} writes could be read by {earlier.name}; let a constant tell them apart")


def _item(part: Part) -> Part:
    return part.part if isinstance(part, Each) else part


def _asked(part: Part) -> int:
    """How many constants are asked for when reading."""
    return sum(1 for one in _asked_of(part))


def _asked_of(part: Part) -> Iterator[Const]:
    if isinstance(part, Const):
        yield part
    elif isinstance(part, Obj):
        for _, inner in part.asked:
            yield from _asked_of(inner)
    elif isinstance(part, Arr):
        for item in part.items:
            if item.certain:
                yield from _asked_of(item)


def _accepts(reader: Part, writer: Part | None) -> bool:
    """Could something that `writer` writes be read as what `reader` writes?"""
    if isinstance(reader, Const):
        return isinstance(writer, Hole | Text) or (isinstance(writer, Const) and writer.value == reader.value)
    if isinstance(reader, Obj):
        return isinstance(writer, Obj) and all(
            _accepts(part, writer.parts.get(key))
            for key, part in reader.parts.items()
            if part.certain and not (key in SOFT and isinstance(part, Const))
        )
    if isinstance(reader, Arr):
        return isinstance(writer, Arr) and all(any(_accepts(item, one) for one in writer.items) for item in reader.items if item.certain)
    if isinstance(reader, Hole) and isinstance(reader.converter, Coding | Concept):
        return not _apart(reader.converter, writer)
    return True


def _apart(converter: Coding | Concept, writer: Part | None) -> bool:
    """Are the code systems of the two so different that one can't be read as the other?"""
    if isinstance(writer, Hole) and isinstance(writer.converter, Coding | Concept):
        return not converter.table.systems & writer.converter.table.systems
    system = writer.parts.get("system") if isinstance(writer, Obj) else None
    return isinstance(system, Const) and system.value not in converter.table.systems


def _words_come_back(templates: list[Template], faults: Faults) -> None:
    """A word whose codes, in all resources that speak of its field, read back as another word is lost: say so now."""
    speakers: dict[tuple[str, ...], dict[str, Hole]] = defaultdict(dict)
    for template in templates:
        if template.only_to_fhir:
            continue
        for hole in inner_holes(_read_part(template.resource)):
            key = f"{hole.converter.name} {getattr(table_of(hole.converter), 'name', '')}"
            speakers[absolute(hole.path, template.all_loops)].setdefault(key, hole)
    for path, holes in speakers.items():
        tables = [table for hole in holes.values() if (table := table_of(hole.converter))]
        exact = len(tables) < len(holes)
        for word in sorted({word for table in tables for word in table.written}):
            back = _comes_back(word, tables)
            if not exact and back != word:
                table = next(table for table in tables if word in table.written)
                faults.add(
                    table.where,
                    f"{'.'.join(path)} {word} comes back as {back or 'nothing'}: give it a code of its own, or say so in another resource",
                )


def _comes_back(word: str, tables: list[CodeTable]) -> str | None:
    found = [candidates for table in tables for candidates in _read_back(word, table)]
    if not found:
        return None
    words = frozenset.intersection(*(candidates.words for candidates in found))
    if len(words) == 1:
        return next(iter(words))
    defaults = {candidates.default for candidates in found} & words
    return defaults.pop() if len(defaults) == 1 else None


def _read_back(word: str, table: CodeTable) -> Iterator[Candidates]:
    for code in table.written.get(word, ()):
        yield table.read[(code.system, code.code)]
    if table.local and word in table.written:
        yield table.read[(table.local, word)]


def _read_part(resource: Obj) -> Obj:
    return Obj({key: part for key, part in resource.parts.items() if not isinstance(part, OneWay)}, resource.where)
