"""What the server answers when it refuses: an exception that carries the status and becomes an OperationOutcome.

The texts are HAPI's, numbers included (`HAPI-1094`), because people and programs grep for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STORAGE_CODES = "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code"


@dataclass(eq=False)  # not frozen: raising an exception writes its traceback into it
class Rejected(Exception):
    """The request fails with this HTTP status; `details` is a vendor's own coding for the issue."""

    status: int
    text: str
    code: str = "processing"
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome that says so."""
        issue: dict[str, Any] = {"severity": "error", "code": self.code, "diagnostics": self.text}
        if self.details:
            issue["details"] = dict(self.details)
        return {"resourceType": "OperationOutcome", "issue": [issue]}


def success(code: str, text: str) -> dict[str, Any]:
    """The OperationOutcome of a write that worked; `code` such as `SUCCESSFUL_CREATE`."""
    details = {"coding": [{"system": STORAGE_CODES, "code": code, "display": text}]}
    issue = {"severity": "information", "code": "informational", "details": details, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
