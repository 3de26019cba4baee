"""What a server says in an OperationOutcome: faults without the patient's values, and the vendor's own codes. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_bridge.errors import Fault

_CODE = re.compile(r"^\d{4,5}$")
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")
_MAX_WORDS = 300  # characters of a server's own words that are kept


@dataclass(frozen=True, slots=True)
class Said:
    """`faults`: path and the server's words. `codes`: vendor codes (59188). `types`: issue types (`duplicate`). `entries`: guilty ones."""

    faults: tuple[Fault, ...] = ()
    codes: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    entries: tuple[int, ...] = ()


def read(body: Any) -> Said:
    """What `body` says, if it is an OperationOutcome; nothing otherwise.

    The words are the server's and may repeat what was sent: they are for the card only, never for a log.
    """
    issues = [issue for issue in _issues(body) if issue.get("severity") in ("error", "fatal", None)]
    paths = [_path(issue) for issue in issues]
    return Said(
        faults=tuple(Fault(path, _words(issue)) for path, issue in zip(paths, issues, strict=True)),
        codes=frozenset(code for issue in issues for code in _codes(issue)),
        types=frozenset(str(issue.get("code")) for issue in issues),
        entries=tuple(dict.fromkeys(int(found.group(1)) for path in paths if (found := _ENTRY.search(path)))),
    )


def _issues(body: Any) -> list[dict[str, Any]]:
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return []
    issues = body.get("issue")
    return [issue for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []


def _path(issue: dict[str, Any]) -> str:
    for name in ("expression", "location"):
        found = issue.get(name)
        if isinstance(found, list) and found and isinstance(found[0], str):
            return found[0][:_MAX_WORDS]
    return ""


def _words(issue: dict[str, Any]) -> str:
    details = issue.get("details")
    text = details.get("text") if isinstance(details, dict) else None
    words = issue.get("diagnostics") or text or issue.get("code") or "the server gave no reason"
    return " ".join(str(words).split())[:_MAX_WORDS]


def _codes(issue: dict[str, Any]) -> Iterator[str]:
    details = issue.get("details")
    codings = details.get("coding") if isinstance(details, dict) else None
    for coding in codings if isinstance(codings, list) else ():
        code = str(coding.get("code", "")) if isinstance(coding, dict) else ""
        if _CODE.match(code):
            yield code
