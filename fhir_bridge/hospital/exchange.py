"""One exchange with a hospital as values: what we ask (`Call`), and what came back (`Reply`) or did not (`NoReply`).

Nothing here is an exception: a hospital that does not answer is an everyday outcome, and the caller decides what it means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FHIR_JSON = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `path` is relative to the hospital's base address (`Patient/12`, `Observation/_search`, empty for a Bundle).

    `body` is a JSON document; `form` (for POST _search, so that no identifier stands in an address) excludes it.
    """

    method: str
    path: str = ""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `headers` have lower-case names; `body` is the JSON document, None when there was none that could be read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw_size: int = 0
    content_type: str = ""

    def header(self, name: str) -> str:
        """The header `name` in any spelling; empty text when it is not there."""
        return self.headers.get(name.lower(), "")

    @property
    def resource_type(self) -> str:
        """The type of the resource in the body; empty text when the body is not a FHIR resource."""
        found = self.body.get("resourceType") if isinstance(self.body, dict) else None
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class NoReply:
    """No whole answer came. `sent` is False only when certainly nothing of the request left us (name, refusal, TLS, sign-in).

    `cause` says why in words, without a value of the request; `certificate` marks a TLS failure, which is an alarm.
    """

    sent: bool
    cause: str
    certificate: bool = False
