"""A body as HAPI reads it: strict about JSON, types, codes and dates; lenient about elements it does not know, which it drops.

Measured on HAPI 8.8.0: nothing else is validated on write, so an Observation without status and code is stored; a time without
zone is stored as sent; a wrong required code or a date that does not exist is 400, and in a batch refuses the whole batch.
"""

from typing import Any

from fhir_bridge import documents
from fhir_bridge.fhir import check, elements, outcome
from fhir_bridge.sandbox import dates
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.store import Document

MAX_BYTES = 50_000_000
MAX_DEPTH = 64
_DATES = frozenset({"date", "dateTime", "instant"})
_NOT_IN_THE_VALUE_SET = ("must be one of", "must be a code of")


def resource(body: bytes, *, expected: str) -> Document:
    """The resource in `body`, which must be of the expected type, without what R4 does not know."""
    document = documents.loads(body, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    kind = document.get("resourceType") if isinstance(document, dict) else None
    if not kind:
        raise unparsable("HAPI-1838: Invalid JSON content detected, missing required element: 'resourceType'")
    if kind != expected:
        text = f'Incorrect resource type detected for endpoint, found "{kind}" but expected "{expected}"'
        raise unparsable(f"HAPI-1814: {text}")
    return _known(document) if kind != "Bundle" else document | {"entry": [_entry(entry) for entry in document.get("entry", [])]}


def validated(body: bytes) -> Document:
    """The OperationOutcome of `$validate`: errors are in it, whatever the status."""
    document = documents.loads(body)
    if faults := check.faults(document):
        return outcome.operation_outcome(faults, code="processing")
    issue: dict[str, Any] = {"severity": "information", "code": "informational", "diagnostics": "No issues detected during validation"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _entry(entry: Document) -> Document:
    return entry | {"resource": _known(entry["resource"])} if isinstance(entry.get("resource"), dict) else entry


def _known(document: Document) -> Document:
    kind = str(document.get("resourceType"))
    if kind not in elements.checked_names():
        return document
    tidy: Document = _tidy(document, kind, kind)
    for fault in check.faults(tidy):
        if fault.message.startswith(_NOT_IN_THE_VALUE_SET):
            raise _unreadable(fault.path)
    return tidy


def _tidy(value: Any, kind: str, path: str) -> Any:
    if isinstance(value, list):
        return [_tidy(item, kind, path) for item in value]
    if isinstance(value, str) and kind in _DATES and not dates.parse(value):
        raise _unreadable(path)
    if not isinstance(value, dict):
        return value
    known = elements.children(str(value.get("resourceType", kind)) if kind == "Resource" else kind)
    if not known:
        return value
    return {key: _tidy(item, known[key].type, f"{path}.{key}") for key, item in value.items() if key in known}


def _unreadable(path: str) -> Rejected:
    name = path.rpartition(".")[2]
    return unparsable(f'HAPI-1821: [element="{name}"] Invalid attribute value')


def unparsable(text: str) -> Rejected:
    """HAPI's 400 for a body it cannot read."""
    return Rejected(400, f"HAPI-0450: Failed to parse request body as JSON resource. Error was: {text}")
