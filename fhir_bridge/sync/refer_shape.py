"""A request at the hospital's door before anything is read from it: which shape it has, and whether it is one. Pure."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import check

#: the shapes a referral comes in: a resource by its type, a Bundle by its type
ORDER, TASK, TRANSACTION, MESSAGE = "ServiceRequest", "Task", "transaction", "message"
PATIENT = "Patient"


class NotFhir(Refused):
    """The document is not right by R4, or not what this address takes."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request: its shape, its bytes and what they say, `X-Request-ID`, and the address of our door without a slash at its end."""

    shape: str
    body: bytes
    document: dict[str, Any]
    base: str
    request_id: str | None = None

    @property
    def sha256(self) -> str:
        return sha256(self.body).hexdigest()

    @property
    def message_id(self) -> str | None:
        """The identifier of the Bundle, else the id of its MessageHeader."""
        if self.document.get("resourceType") != "Bundle":
            return None
        if isinstance(said := self.document.get("identifier"), dict) and said.get("value"):
            return f"{said.get('system', '')}|{said['value']}"
        headers = [one for one in _entries(self.document) if _type(one) == "MessageHeader"]
        return next((str(one["resource"].get("id") or one.get("fullUrl") or "") for one in headers), None) or None

    def require_shape(self) -> None:
        """Raises `NotFhir` with every fault unless this is right R4 in the shape of its address."""
        if faults := self._shape_faults() or check.faults(self.document):
            raise NotFhir(faults)

    def _shape_faults(self) -> list[Fault]:
        kind = self.document.get("resourceType")
        if self.shape in (ORDER, TASK):
            return [] if kind == self.shape else [Fault("resourceType", f"must be {self.shape} at this address")]
        if kind != "Bundle" or self.document.get("type") != self.shape:
            return [Fault("Bundle.type", f"must be {self.shape} at this address")]
        found = _entries(self.document)
        if self.shape == MESSAGE:
            first = bool(found) and _type(found[0]) == "MessageHeader"
            return [] if first else [Fault("Bundle.entry[0]", "must be the MessageHeader")]
        return [
            Fault(f"Bundle.entry[{index}].request.method", "must be POST or PUT: a referral is only ever sent here")
            for index, one in enumerate(found)
            if not isinstance(one.get("request"), dict) or one["request"].get("method") not in ("POST", "PUT")
        ]


def _entries(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    found = bundle.get("entry")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _type(entry: dict[str, Any]) -> Any:
    resource = entry.get("resource")
    return resource.get("resourceType") if isinstance(resource, dict) else None
