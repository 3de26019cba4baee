"""What a record looks like without its values: which fields are there, which words stand in them, what kinds of element its lists hold.

Two records of one shape become resources of one shape. How many elements of a kind a list holds, and in which order, is no part of it.
"""

from collections.abc import Callable, Hashable
from functools import cache
from typing import Any

from marshmallow import fields as base

from fhir_bridge.clinic.fields import Date, Integer, Text, Time
from fhir_bridge.clinic.structure import Lines, Part, Record, Rows

Shape = Callable[[Any], Hashable]


@cache
def shape_of(schema: type[Record]) -> Shape:
    """The function that tells the shape of a `schema`'s record in normal form."""
    fields = {field.attribute or name: _of(field) for name, field in schema().fields.items()}

    def shape(record: dict[str, Any]) -> Hashable:
        return tuple([name if (inside := fields[name]) is None else (name, inside(value)) for name, value in record.items()])

    return shape


def _of(field: base.Field[Any]) -> Shape | None:
    """None for what is said by being there: times, and texts for people."""
    if isinstance(field, Rows):
        each = shape_of(type(field.record))
        return lambda rows: frozenset(map(each, rows))
    if isinstance(field, Part):
        return shape_of(type(field.record))
    return None if isinstance(field, Text | Time | Date | Integer | Lines) else _leaf


def _leaf(value: Any) -> Hashable:
    """A word or a yes as it is; of a quantity the unit, of what is absent the reason, of a number nothing."""
    if isinstance(value, dict):
        return tuple([(name, _leaf(one)) for name, one in value.items()])
    return value if isinstance(value, str | bool) else None
