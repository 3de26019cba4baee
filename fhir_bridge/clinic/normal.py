"""The one form of a record: lists in the order of their keys, nothing empty, defaults that depend on the record filled in."""

from collections.abc import Callable
from typing import Any

from marshmallow import fields as base

from fhir_bridge.clinic.fields import Leaf, Time
from fhir_bridge.clinic.structure import Part, Record, Rows
from fhir_bridge.clinic.times import instant

WITHDRAWN = "entered-in-error"


def normal(schema: Record, data: dict[str, Any]) -> dict[str, Any]:
    """`data`, already without faults, in normal form; in a session entered in error everything in it is."""
    return _record(schema, data, withdrawn=data.get("status") == WITHDRAWN)


def key_of(schema: Record) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What tells one element of a list from another: times count as moments, everything else as it is written."""
    read = [(name, isinstance(schema.fields[name], Time)) for name in schema.key]
    return lambda row: tuple([instant(row[name]) if timed else row[name] for name, timed in read])


def _record(schema: Record, data: dict[str, Any], *, withdrawn: bool) -> dict[str, Any]:
    found = {}
    for name, field in schema.fields.items():
        target = field.attribute or name
        value = _value(field, data.get(target), withdrawn=withdrawn)
        if value is not None and value != []:
            found[target] = value
    return found


def _value(field: base.Field[Any], value: Any, *, withdrawn: bool) -> Any:
    if value is None:
        default = field.derived_default if isinstance(field, Leaf) else None
        return WITHDRAWN if default and withdrawn else default
    if isinstance(field, Rows):
        rows = [_record(field.record, row, withdrawn=withdrawn) for row in value]
        return sorted(rows, key=key_of(field.record))
    return _record(field.record, value, withdrawn=withdrawn) if isinstance(field, Part) else value
