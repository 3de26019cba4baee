"""A record taken apart into its fields, each under a path that names its element, and put together again.

`readings[2026-03-02T14:00:00+00:00].heart_rate` is one field: what two people may say differently, and what has one owner. A
quantity, a value that may be absent with a reason, and lines in their order are one field each. Times that are one instant are
one key, however they are spelt.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any
from urllib.parse import quote

from marshmallow import fields as base

from fhir_bridge.clinic.fields import Time
from fhir_bridge.clinic.structure import Part, Record, Rows
from fhir_bridge.clinic.times import instant

_KEPT = "+:-._~/"
_ELEMENT = re.compile(r"\[[^\]]*\]")


def flat(schema: Record, record: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of `record` that `schema` knows, by its path; what it does not know is left out."""
    found: dict[str, Any] = {}
    _take_apart(schema, record, "", found)
    return found


def built(schema: Record, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The record of these fields; parts and elements of which nothing is there are left out. Not yet in normal form."""
    record: dict[str, Any] = {}
    elements: dict[str, dict[str, Any]] = {}
    for path, value in leaves.items():
        *above, last = path.split(".") if "[" not in path else _steps(path)
        at, here = record, ""
        for step in above:
            here = f"{here}.{step}"
            at = _inside(at, step, here, elements)
        at[last] = value
    return record


def schema_path(path: str) -> str:
    """`readings[].heart_rate`: the field, without saying of which element (a key may be a patient's)."""
    return _ELEMENT.sub("[]", path)


def paths(schema: Record, before: str = "") -> list[str]:
    """The schema path of every field that a record can hold."""
    found: list[str] = []
    for name, field in _fields(schema).items():
        here = f"{before}{name}"
        if isinstance(field, Part):
            found += paths(field.record, f"{here}.")
        elif isinstance(field, Rows):
            found += paths(field.record, f"{here}[].")
        else:
            found.append(here)
    return found


def _take_apart(schema: Record, record: Mapping[str, Any], before: str, found: dict[str, Any]) -> None:
    known = _fields(schema)
    for name, value in record.items():
        field, here = known.get(name), f"{before}{name}"
        if isinstance(field, Part) and isinstance(value, dict):
            _take_apart(field.record, value, f"{here}.", found)
        elif isinstance(field, Rows) and isinstance(value, list):
            for row in value:
                _take_apart(field.record, row, f"{here}[{_key(field.record, row)}].", found)
        elif field is not None:
            found[here] = value


def _key(schema: Record, row: Mapping[str, Any]) -> str:
    return ",".join(_spelt(schema.fields[name], row.get(name)) for name in schema.key)


def _spelt(field: base.Field[Any], value: Any) -> str:
    if isinstance(field, Time) and isinstance(value, str):
        value = instant(value).astimezone(UTC).isoformat()
    return quote(str(value), safe=_KEPT)


def _fields(schema: Record) -> dict[str, base.Field[Any]]:
    """By the name that stands in a record."""
    return {field.attribute or name: field for name, field in schema.fields.items()}


def _steps(path: str) -> list[str]:
    """`a[k.1].b` as `a[k.1]`, `b`: dots inside a key are the key's."""
    return re.findall(r"[^.\[]+(?:\[[^\]]*\])?", path)


def _inside(at: dict[str, Any], step: str, here: str, elements: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name, bracket, _ = step.partition("[")
    if not bracket:
        inner: dict[str, Any] = at.setdefault(name, {})
        return inner
    if here not in elements:
        elements[here] = {}
        at.setdefault(name, []).append(elements[here])
    return elements[here]
