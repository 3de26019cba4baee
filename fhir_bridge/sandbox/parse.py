"""A body as HAPI reads it: strict about JSON, types and dates, lenient about what it does not know, which it drops."""

from typing import Any

from fhir_bridge import documents
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.store import Document


def resource(body: bytes, *, expected: str) -> Document:
    """The resource in `body`, which must be of the expected type."""
    document = documents.loads(body, max_bytes=50_000_000, max_depth=64)
    kind = document.get("resourceType") if isinstance(document, dict) else None
    if not kind:
        raise Rejected(400, "HAPI-0450: HAPI-1838: Invalid JSON content detected, missing required element: 'resourceType'", "structure")
    if kind != expected:
        text = f'Incorrect resource type detected for endpoint, found "{kind}" but expected "{expected}"'
        raise Rejected(400, f"HAPI-0450: HAPI-1814: {text}", "structure")
    return dict(document)


def validated(body: bytes) -> Document:
    """The OperationOutcome of `$validate`."""
    documents.loads(body)
    issue: dict[str, Any] = {"severity": "information", "code": "informational", "diagnostics": "No issues detected during validation"}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
