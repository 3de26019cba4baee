"""JSON as HAPI writes its numbers: never in powers of ten. `0.00000001` stays so, and `1e2` becomes `100`."""

from decimal import Decimal
from typing import Any

import msgspec

from fhir_bridge import documents


def dumps(document: Any) -> bytes:
    """`document` as JSON with all digits of every number."""
    text = documents.dumps(document)
    return documents.dumps(_written_out(document)) if b"E-" in text or b"E+" in text else text


def _written_out(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _written_out(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_written_out(item) for item in value]
    return msgspec.Raw(format(value, "f")) if isinstance(value, Decimal) else value
