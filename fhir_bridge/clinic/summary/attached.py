"""The record with its summary: what the mapping writes a DocumentReference from."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from fhir_bridge.clinic.summary.text import summary_text
from fhir_bridge.clinic.summary.wording import Names, plain, times

NOT_YET = ("scheduled", "arrived", "checked-in")
"""States in which there is nothing to sum up."""


def with_summary(record: Mapping[str, Any], *, names: Names = plain) -> dict[str, Any]:
    """A new record with `summary: {text, pdf, created}` where there is something to sum up; `text` and `pdf` in base64.

    `created` is when the session ended, or was corrected, or began, or was planned for: the same record has the same summary.
    """
    if record.get("status", NOT_YET[0]) in NOT_YET or "patient" not in record:
        return dict(record)
    from fhir_bridge.clinic.summary.page import summary_pdf  # loads the drawing library, which most commands never need

    created = _created(record)
    summary = {
        "text": b64encode(summary_text(record, names=names).encode()).decode(),
        "pdf": b64encode(summary_pdf(record, names=names)).decode(),
        **({"created": created} if created else {}),
    }
    return {**record, "summary": summary}


def _created(record: Mapping[str, Any]) -> str | None:
    at = record.get("correction", {}).get("at") or record.get("ended_at") or record.get("recorded_at")
    return at or next(iter(times(record)), None)
