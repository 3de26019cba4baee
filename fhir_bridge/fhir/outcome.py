"""Faults as an OperationOutcome, and any server's OperationOutcome as faults.

Reading never raises: what a server calls an outcome may have any shape. Writing never shows a value: a fault names a path
and a rule. A server's own text (`diagnostics`, `details.text`) may quote what it was sent, so `issues` takes it only on request.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fhir_bridge.errors import Fault

_SEVERE = frozenset({"error", "fatal"})
MAX_TEXT = 500


def operation_outcome(faults: Iterable[Fault], *, code: str = "invariant", severity: str = "error") -> dict[str, Any]:
    """One issue a fault. `code` is of R4's issue-type (structure, required, value, invariant, not-found …), the same for all."""
    found = [_issue(fault, code, severity) for fault in faults]
    return {"resourceType": "OperationOutcome", "issue": found or [{"severity": "information", "code": "informational"}]}


def issues(outcome: object, *, texts: bool = False) -> list[Fault]:
    """The errors an OperationOutcome tells of; an empty list when it tells of none, or is no OperationOutcome.

    With `texts` the server's own words are taken, cut to `MAX_TEXT`: they may quote patient data, so show them, don't log them.
    """
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return []
    return [Fault(_where(issue), _message(issue, texts=texts)) for issue in _objects(outcome.get("issue")) if _is_severe(issue)]


def _is_severe(issue: dict[str, Any]) -> bool:
    """Only what is known to be milder is left out; an issue without a severity counts."""
    severity = issue.get("severity")
    return not isinstance(severity, str) or severity in _SEVERE


def _issue(fault: Fault, code: str, severity: str) -> dict[str, Any]:
    issue: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": str(fault)}
    return issue | {"expression": [fault.path]} if fault.path else issue


def _where(issue: dict[str, Any]) -> str:
    for name in ("expression", "location"):
        for text in _texts(issue.get(name)):
            return text
    return ""


def _message(issue: dict[str, Any], *, texts: bool) -> str:
    said = _texts([issue.get("code")])
    if texts:
        details = issue.get("details")
        said += _texts([issue.get("diagnostics"), details.get("text") if isinstance(details, dict) else None])
    return ": ".join(said) or "refused without a reason"


def _texts(values: object) -> list[str]:
    return [value[:MAX_TEXT] for value in values if isinstance(value, str) and value] if isinstance(values, list) else []


def _objects(values: object) -> Iterator[dict[str, Any]]:
    yield from (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()
