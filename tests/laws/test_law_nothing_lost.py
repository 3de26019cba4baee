"""Every placeholder whose field is there is written: told by a second, simple reading of the template files, and by change.

The round trip alone hides a loss: a field that two places say may be missing in one of them. So the template files are walked
here without the engine, as YAML, and each `<path | converter>` is looked up in the resource at the place where it stands.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from law_cases import ROOT, SESSIONS, SHIPPED, Record, every_story, law, leaves, same, story

from fhir_bridge.errors import Refused

MAPPINGS = ROOT / "mappings"
EACH = re.compile(r"([a-z_]+) in ([a-z_.]+) by ([a-z_]+)")
HOLE = re.compile(r"<([a-z_.]+)(?: \| ([a-zA-Z]+)(?: [^>]+)?)?>")
AS_IT_IS = {None, "text", "number", "date", "dateTime", "instant", "boolean", "many"}
RAW = {path.stem: yaml.load(path.read_text(), Loader=yaml.BaseLoader) for path in sorted((MAPPINGS / "templates").glob("*.yaml"))}  # noqa: S506 - text only
TABLES = {path.stem: yaml.load(path.read_text(), Loader=yaml.BaseLoader) for path in sorted((MAPPINGS / "codes").glob("*.yaml"))}  # noqa: S506 - text only
Names = dict[str, Any]


def filled(node: Any, row: dict[str, str]) -> Any:
    """The template with each `$column` of its row put in."""
    if isinstance(node, dict):
        return {key: filled(value, row) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, row) for value in node]
    return re.sub(r"\$([a-z_]+)", lambda match: row.get(match[1], match[0]), node)


def find(path: str, names: Names) -> Any:
    first, *rest = path.split(".")
    value = names[first] if first in names else names[""].get(first)
    for field in rest:
        value = value.get(field) if isinstance(value, dict) else None
    return value


def inside(each: str | list[str], names: Names) -> list[Names]:
    """The names of every copy that the loops make."""
    found = [names]
    for line in [each] if isinstance(each, str) else each:
        name, path, _ = EACH.fullmatch(line).groups()
        found = [{**outer, name: element} for outer in found for element in find(path, outer) or []]
    return found


def asked(template: dict[str, Any], record: Record) -> Iterator[Names]:
    """Every copy of the template that `when` asks for."""
    path, table = re.fullmatch(r"<([a-z_.]+)(?: \| code ([a-z-]+))?>", template["when"]).groups()
    for names in inside(template.get("each", []), {"": record}):
        value = find(path, names)
        if value is not None and (table is None or TABLES[table]["codes"][value] != "~"):
            yield names


def expected(node: Any, names: Names, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Every placeholder whose field is there: its place (lists are stepped over), how it is written, the field's value."""
    if isinstance(node, dict):
        for scope in inside(node["each"], names) if "each" in node else [names]:
            for key, value in node.items():
                if key != "each":
                    yield from expected(value, scope, (*at, key))
    elif isinstance(node, list):
        for item in node:
            yield from expected(item, names, at)
    elif match := HOLE.fullmatch(node):
        value = find(match[1], names)
        if value is not None and not isinstance(value, dict):
            yield at, match[2], value


def placed(resource: Any, at: tuple[str, ...]) -> list[Any]:
    """Everything that stands at a place, in whichever list elements."""
    if isinstance(resource, list):
        return [one for element in resource for one in placed(element, at)] + ([resource] if not at else [])
    if not at:
        return [resource]
    return placed(resource[at[0]], at[1:]) if isinstance(resource, dict) and at[0] in resource else []


def copies(record: Record) -> Iterator[tuple[str, Any, Names]]:
    for name, raw in RAW.items():
        rows = TABLES[raw["table"]]["rows"] if "table" in raw else [{}]
        for row in rows:
            template = filled(raw, row)
            for names in asked(template, record):
                yield name, template["resource"], names


def lost(record: Record) -> list[str]:
    """Every placeholder that is not at its place, by template and place."""
    wanted = list(copies(record))
    written = SHIPPED.to_fhir(record).resources
    assert [template["resourceType"] for _, template, _ in wanted] == [resource["resourceType"] for resource in written]
    found = []
    for (name, template, names), resource in zip(wanted, written, strict=True):
        for at, converter, value in expected(template, names):
            there = placed(resource, at)
            ok = any(same(value, one) for one in there) if converter in AS_IT_IS else carries(converter, value, there)
            found += [] if ok or not_coded(converter, value) else [f"{name}: {'.'.join(at)}"]
    return found


def carries(converter: str | None, value: Any, there: list[Any]) -> bool:
    if converter == "quantity":
        return any(isinstance(one, dict) and same(one.get("value"), value) for one in there)
    return bool(there)


def not_coded(converter: str | None, value: Any) -> bool:
    """A word that a table says has no code."""
    return converter in ("code", "concept", "coding") and any(
        value in table.get("codes", {}) and table["codes"][value] == "~" for table in TABLES.values()
    )


@law(record=SESSIONS)
def test_every_placeholder_whose_field_is_there_is_written_at_its_place(record: Record):
    assert lost(record) == []


@every_story
def test_every_placeholder_of_a_story_is_written_at_its_place(case: Path):
    record = story(case)
    assert lost(record) == []
    assert len(list(copies(record))) > 1


def written_without(record: Record, path: tuple[str | int, ...]) -> Any:
    """What is written without that leaf, or which fields are then said to be missing."""
    try:
        return SHIPPED.to_fhir(without(record, path)).resources
    except Refused as refused:
        return [str(fault) for fault in refused.faults]


def without(record: Record, path: tuple[str | int, ...]) -> Record:
    less = deepcopy(record)
    at: Any = less
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return less


@every_story
def test_no_leaf_of_a_story_is_unsaid(case: Path):
    """Taking any one field away changes what is written."""
    record = story(case)
    before = SHIPPED.to_fhir(record).resources
    told = {path for path, _ in leaves(record) if not same(written_without(record, path), before)}
    assert [path for path, _ in leaves(record) if path not in told] == []


def test_the_second_reading_of_the_templates_sees_a_loss():
    """The instrument itself: with one value taken out of a resource, it says which."""
    record = story(ROOT / "fixtures" / "cases" / "monitored-clinic-visit" / "session-1.json")
    name, template, names = next(one for one in copies(record) if one[0] == "encounter")
    resource = deepcopy(next(one for one in SHIPPED.to_fhir(record).resources if one["resourceType"] == "Encounter"))
    del resource["period"]["end"]
    gone = [at for at, _, value in expected(template, names) if not isinstance(value, Decimal) and not placed(resource, at)]
    assert (name, gone) == ("encounter", [("period", "end")])
