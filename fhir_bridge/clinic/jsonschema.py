"""A record's JSON Schema and field tree, read off the marshmallow classes that load it.

The JSON Schema says what the door takes (so a value may come with another unit); the field tree names what the normal form holds.
"""

from inspect import getdoc
from typing import Any

from marshmallow import fields as base
from marshmallow import missing

from fhir_bridge.clinic.fields import Leaf
from fhir_bridge.clinic.quantities import Absentable, Quantity
from fhir_bridge.clinic.structure import Lines, Part, Record, Rows

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(record: Record, title: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `record`."""
    return {"$schema": DIALECT, "title": title} | _object(record)


def tree_of(record: Record) -> dict[str, Any]:
    """The names `record` can hold: objects as dicts, lists as one-element lists, values as the name of their type.

    A value that may be absent with a reason is `{"": type, "absent": "word"}`; a quantity is `{"value": "number", "unit": "text"}`.
    """
    return {_name(name, field): _branch(field) for name, field in record.fields.items()}


def _branch(field: base.Field[Any]) -> Any:
    if isinstance(field, Rows):
        return [tree_of(field.record)]
    if isinstance(field, Part):
        return tree_of(field.record)
    if isinstance(field, Lines):
        return [_branch(field.inner)]
    if isinstance(field, Absentable):
        return {"": field.leaf, "absent": "word"}
    if isinstance(field, Quantity):
        return {"value": "number", "unit": "text"}
    return field.leaf if isinstance(field, Leaf) else "text"


def _object(record: Record) -> dict[str, Any]:
    described = {"type": "object", "description": getdoc(type(record))}
    properties = {_name(name, field): _property(field) for name, field in record.fields.items()}
    required = [_name(name, field) for name, field in record.fields.items() if field.required]
    return described | {"properties": properties, "required": required, "additionalProperties": False}


def _property(field: base.Field[Any]) -> dict[str, Any]:
    about = {"description": field.metadata["description"]}
    if isinstance(field, Rows):
        return {"type": "array", "items": _object(field.record)} | _at_least(field) | about
    if isinstance(field, Lines):
        return {"type": "array", "items": _property(field.inner)} | _at_least(field) | about
    if isinstance(field, Part):
        return _object(field.record) | about
    default = field.load_default if field.load_default is not missing else getattr(field, "derived_default", None)
    shape = field.shape() if isinstance(field, Leaf) else {}
    return shape | about | ({"default": default} if default is not None else {})


def _at_least(field: base.Field[Any]) -> dict[str, Any]:
    return {"minItems": 1} if field.required else {}


def _name(name: str, field: base.Field[Any]) -> str:
    return field.data_key or name
