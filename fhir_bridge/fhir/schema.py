"""The R4 JSON Schema: one validator per resource type, compiled at first use, and its errors in plain words.

Only what R4's own element tables say. A resource inside a resource is looked at by the caller, with its own type's validator.
"""

import gzip
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from fhir_bridge.errors import Fault
from fhir_bridge.fhir.paths import child, joined

_ELEMENT_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_MANY = 20
_FORMS = {
    "base64Binary": "must be base64",
    "code": "must be a code: no blank at either end, none doubled",
    "date": "must be a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "must be a date that exists (YYYY, YYYY-MM, YYYY-MM-DD), or one with seconds and offset (2026-03-02T09:00:00-05:00)",
    "id": "must be 1 to 64 letters, digits, hyphens and dots",
    "instant": "must be a time that exists, with seconds and offset (2026-03-02T09:00:00-05:00)",
    "markdown": "must be text without control characters, and not empty",
    "string": "must be text without control characters, and not empty",
    "time": "must be a time of day with seconds (09:00:00)",
    "xhtml": "must be XHTML in one <div>",
}
_KINDS = {"object": "an object", "array": "a list", "string": "a string", "number": "a number", "integer": "a whole number"}


def schema_faults(resource: dict[str, Any], kind: str, at: str) -> list[Fault]:
    """What R4's element tables refuse in `resource` of the checked type `kind`; `at` is its path in the whole document."""
    validator = _validator(kind)
    try:
        if validator.is_valid(resource):
            return []
        return [fault for error in validator.iter_errors(resource) for fault in _faults(error, at)]
    except (ValueError, RecursionError):
        return [Fault(at, "is no JSON document: nested too deep, or holding keys or text that JSON has no form for")]


@cache
def document() -> dict[str, Any]:
    """The whole schema, JSON Schema 2020-12, as `$defs` by type name."""
    packed = files(__package__).joinpath("r4.schema.json.gz").read_bytes()
    found: dict[str, Any] = msgspec.json.decode(gzip.decompress(packed))
    return found


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = {"$ref": f"#/$defs/{kind}", "$defs": document()["$defs"]}
    return Draft202012Validator(schema, pattern_options=RegexOptions())


def _faults(error: ValidationError, at: str) -> Iterator[Fault]:
    path = joined(at, error.instance_path)
    details = error.kind.as_dict()
    match error.kind.name:
        case "additionalProperties":
            yield from (_unknown(path, name) for name in details["unexpected"])
        case "required":
            yield Fault(child(path, details["property"]), "is required; add it")
        case "anyOf":
            yield _either(path, details["context"])
        case kind:
            say = _MESSAGES.get(kind)
            yield Fault(path, say(error, details) if say else "does not have the form R4 gives it")


def _unknown(path: str, name: str) -> Fault:
    if _ELEMENT_NAME.fullmatch(name):
        return Fault(f"{path}.{name}", "is no element of R4; remove it")
    return Fault(path, "holds a key that is no element of R4; remove it")


def _either(path: str, context: list[list[ValidationError]]) -> Fault:
    names = [error.kind.as_dict()["property"] for branch in context for error in branch if error.kind.name == "required"]
    plain = [name for name in names if not name.startswith("_")]
    if len(plain) == 1:
        return Fault(child(path, plain[0]), "is required; add it")
    shown = ", ".join(plain[:_MANY]) + (" …" if len(plain) > _MANY else "")
    return Fault(path, f"needs one of {shown}; add it")


def _enum(error: ValidationError, details: dict[str, Any]) -> str:
    if error.instance_path and error.instance_path[-1] == "resourceType":
        return "is no resource type of R4"
    options = sorted(option for option in details["options"] if option is not None)
    return f"must be one of: {', '.join(options)}" if len(options) <= _MANY else "must be a code of the value set R4 requires here"


def _contains(error: ValidationError, _: dict[str, Any]) -> str:
    schema: Any = document()
    for step in error.schema_path:
        schema = schema[step]
    return f"must hold a coding with system and one of the codes: {', '.join(schema['properties']['code']['enum'])}"


def _type(_: ValidationError, details: dict[str, Any]) -> str:
    kinds = [_KINDS.get(kind, "true or false") for kind in details["types"] if kind != "null"]
    return f"must be {' or '.join(kinds)}"


def _pattern(error: ValidationError, _: dict[str, Any]) -> str:
    name = str(error.schema_path[-2]).removesuffix("-or-null")
    return _FORMS.get(name, f"must have the form of a {name}: not empty, no blanks")


def _empty(_: ValidationError, __: dict[str, Any]) -> str:
    return "must not be empty; leave it out"


_MESSAGES: dict[str, Callable[[ValidationError, dict[str, Any]], str]] = {
    "contains": _contains,
    "enum": _enum,
    "pattern": _pattern,
    "type": _type,
    "minItems": _empty,
    "minProperties": _empty,
    "minimum": lambda _, details: f"must be at least {details['limit']}",
    "maximum": lambda _, details: f"must be at most {details['limit']}",
}
