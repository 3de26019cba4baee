"""One set of template files, both ways: `to_fhir` and `from_fhir` undo each other, and what does not fit is reported."""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Tree
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fhir_bridge.errors import Refused
from fhir_bridge.mapping import checks, source
from fhir_bridge.mapping.codes import load_table, load_units
from fhir_bridge.mapping.compiled import WriteAll, compile_writer
from fhir_bridge.mapping.parse import Parser, Tables
from fhir_bridge.mapping.parts import same_reference
from fhir_bridge.mapping.read import Reading, Residue, read_resource, whole
from fhir_bridge.mapping.record import Conflict, grow, statements
from fhir_bridge.mapping.scope import Scope
from fhir_bridge.mapping.shortcut import ReadAll, compile_reader
from fhir_bridge.mapping.source import Faults, Located
from fhir_bridge.mapping.template import Template
from fhir_bridge.mapping.write import Resource, Writer, Written


@dataclass(frozen=True, slots=True)
class Read:
    """What resources say: the record, `links` (template name to the references that stand for its resources), and the rest."""

    record: dict[str, Any]
    links: dict[str, list[str]]
    residue: list[Residue]
    conflicts: list[Conflict]


@dataclass(frozen=True)
class Mapping:
    """The templates and tables of one or more folders; a later folder's file takes the place of an earlier one's."""

    templates: dict[str, Template]
    by_type: dict[str, list[Template]]
    tables: Tables = field(repr=False)

    @cached_property
    def _write_all(self) -> WriteAll:
        return compile_writer(self.templates.values())

    @cached_property
    def _read_all(self) -> ReadAll:
        return compile_reader(self.by_type, self._write_all)

    @classmethod
    def load(
        cls,
        folders: Sequence[Path],
        *,
        site: Tree[str, str],
        fields: Tree[str, Any] | None = None,
        type_of: Callable[[str], str | None] | None = None,
    ) -> "Mapping":
        """Reads `templates/*.yaml` and `codes/*.yaml`; raises `Refused` with everything that is wrong, by file and line.

        `site` has the constants that templates name as `$name`; `fields` is the tree of the records' fields and `type_of` tells
        the FHIR type of an element path: without them a template's paths are not checked.
        """
        faults = Faults()
        tables, where = _tables(tuple(folders), site, faults)
        templates: dict[str, Template] = {}
        used: set[str] = set()
        for path in source.found_in(tuple(folders), "templates"):
            node = source.load(path, faults)
            if node is not None:
                parser = Parser(tables, faults)
                templates.update({template.name: template for template in parser.templates(path.stem, node)})
                used |= parser.used
        checks.check(list(templates.values()), faults, fields=fields, type_of=type_of)
        checks.unused(tables, used, where, faults)
        if faults.found:
            raise Refused(dict.fromkeys(faults.found))
        by_type: dict[str, list[Template]] = {}
        for template in checks.in_order(templates.values()):
            by_type.setdefault(template.type, []).append(template)
        return cls(templates, by_type, tables)

    def to_fhir(self, record: dict[str, Any], onto: Sequence[Resource] = ()) -> Written:
        """The resources that `record` becomes, in the order of the templates; onto old ones where they are given.

        An old value stays if it reads as what the record says; what was not understood is never removed. Raises `Refused` with
        every field that cannot be written. What comes back shares its constant parts: nobody may change it in place.
        """
        if not onto:
            with suppress(Exception):  # the shortcut meets something unexpected: the plain writer says what it is
                return Written(self._write_all(record), [])
        return Writer(self.templates, self.by_type).write(record, onto)

    def id_of(self, type: str, record: dict[str, Any]) -> str | None:
        """The id of the one resource of this type that `record`, be it a part of one, becomes; None when that takes more to tell."""
        alone = [template for template in self.by_type.get(type, ()) if not template.loops]
        return alone[0].id(Scope({"": record}, lambda *_: None)) if len(alone) == 1 else None

    def from_fhir(self, documents: Sequence[Tree[str, Any]], onto: dict[str, Any] | None = None) -> Read:
        """The record in the resources, whatever their order; nothing raises, everything not understood is in `residue`."""
        if onto is None and (found := self._read_all(documents)) is not None:
            return Read(*found, [], [])
        readings: list[tuple[int, Reading]] = []
        residue: list[Residue] = []
        for index, document in enumerate(documents):
            reading = read_resource(self.by_type, document)
            if isinstance(reading, str):
                residue.append(whole(document, index, reading))
            elif reading.template.only_to_fhir:
                continue
            else:
                readings.append((index, reading))
        links, strangers = _links(readings, documents)
        readings = [(index, reading) for index, reading in readings if index not in strangers]
        residue += [whole(documents[index], index, reason) for index, reason in strangers.items()]
        said, unplaced = statements(readings)
        lost = {one.document: f"<{one.missing}> is missing, which would place it" for one in unplaced}
        residue += [whole(documents[index], index, reason) for index, reason in lost.items()]
        residue += [rest for index, reading in readings if index not in lost for rest in reading.residue(documents[index], index)]
        record, conflicts = grow(said, onto)
        return Read(record, links, sorted(residue, key=lambda one: one.document), conflicts)

    def spoken(self, documents: Sequence[Tree[str, Any]]) -> list[tuple[int, Template, "Reading"]]:
        """Which template reads which document, and what it understood: what `explain` shows to people."""
        found = ((index, read_resource(self.by_type, document)) for index, document in enumerate(documents))
        return [(index, reading.template, reading) for index, reading in found if isinstance(reading, Reading)]


def _tables(folders: tuple[Path, ...], site: Tree[str, str], faults: Faults) -> tuple[Tables, dict[str, str]]:
    tables, where = Tables(site=site), {}
    for path in source.found_in(folders, "codes"):
        node = source.load(path, faults)
        if node is None:
            continue
        where[path.stem] = node.where
        if path.stem == "units":
            tables.units = load_units(node, faults)
        elif isinstance(node.value, dict) and "rows" in node.value:
            tables.rows[path.stem] = [_row(row, faults) for row in node.value["rows"].items(faults)]
        else:
            tables.codes[path.stem] = load_table(path.stem, node, faults)
    return tables, where


def _row(node: Located, faults: Faults) -> dict[str, str]:
    row = node.map(faults)
    if "source" not in row:
        faults.add(node, "needs a source: a code ships only with where it is from")
    return {name: value.text(faults) for name, value in row.items()}


def _links(readings: list[tuple[int, Reading]], documents: Sequence[Tree[str, Any]]) -> tuple[dict[str, list[str]], dict[int, str]]:
    """The references that stand for each template's resources, and the resources that refer to somebody else's.

    Another patient's resource handed in by mistake must never be merged: where the record has one resource of a template (no
    loops), every reference to that template has to be to it.
    """
    links: dict[str, list[str]] = {}
    for index, reading in readings:
        if (own := documents[index].get("id")) is not None:
            links.setdefault(reading.template.name, []).append(f"{reading.template.type}/{own}")
    strangers: dict[int, str] = {}
    for index, reading in readings:
        for template, reference in reading.references():
            name = f"{index}{reference}" if reference.startswith("#") else reference  # what is contained is known inside alone
            if not any(same_reference(name, one) for one in links.setdefault(template, [name])):
                strangers[index] = f"refers to another {template} than the rest of the record"
    return links, strangers


__all__ = ["Mapping", "Read"]
