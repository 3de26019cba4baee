"""A request at the hospital's door before anything is read from it: which shape it has, and whether it is one. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import check

#: the shapes a referral comes in: a resource by its type, a Bundle by its type
ORDER, TASK, TRANSACTION, MESSAGE = "ServiceRequest", "Task", "transaction", "message"
PATIENT = "Patient"
#: before the type of a resource that was put in the place of ours
UPDATE = "update "
#: a Bundle of requests that have nothing to do with each other
BATCH = "batch"
MOST_ENTRIES = 500
#: characters; PostgreSQL's indexes hold no more than 2 704 bytes
LONGEST = 500
#: what the profiles of the NHS Booking and Referral Standard begin with (https://simplifier.net/nhsbookingandreferrals)
BARS = "https://fhir.nhs.uk/StructureDefinition/BARS"


class NotFhir(Refused):
    """The document is not right by R4, or not what this address takes."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request: its shape, its bytes and what they say, the address of our door without a slash at its end, and its headers.

    `request_id` and `correlation_id` are `X-Request-ID` and `X-Correlation-ID`, `if_none_exist` is `If-None-Exist`. `update` is the
    id of the resource in whose place it is put, `if_match` is `If-Match`. `received_at` tells of one that was stored unread when it came,
    `arrival` under which number its bytes are stored already and wait for an answer.
    """

    shape: str
    body: bytes
    document: dict[str, Any]
    base: str
    request_id: str | None = None
    correlation_id: str | None = None
    if_none_exist: str = ""
    update: str = ""
    if_match: str | None = None
    received_at: datetime | None = None
    arrival: str | None = None

    @property
    def sha256(self) -> str:
        return sha256(self.body).hexdigest()

    @property
    def route(self) -> str:
        """How it came, as it is kept with its bytes."""
        return f"{UPDATE}{self.shape}" if self.update else self.shape

    @property
    def message_id(self) -> str | None:
        """The identifier of the Bundle, else the id of its MessageHeader; of a very long one its hash, as it is looked up by it."""
        named = self._named()
        return named if named is None or len(named) <= LONGEST else f"sha256:{sha256(named.encode()).hexdigest()}"

    def _named(self) -> str | None:
        if self.document.get("resourceType") != "Bundle":
            return None
        if isinstance(said := self.document.get("identifier"), dict) and said.get("value"):
            return f"{said.get('system', '')}|{said['value']}"
        headers = [one for one in _entries(self.document) if _type(one) == "MessageHeader"]
        return next((str(one["resource"].get("id") or one.get("fullUrl") or "") for one in headers), None) or None

    @property
    def is_bars(self) -> bool:
        """Is it sent by the rules of the NHS Booking and Referral Standard? Its message says so, or both ids are there."""
        told = [self.document, *(one.get("resource") for one in _entries(self.document)[:1])]
        profiles = [each for one in told if isinstance(one, dict) for each in _profiles(one)]
        return bool(self.request_id and self.correlation_id) or any(each.startswith(BARS) for each in profiles)

    @property
    def unless(self) -> tuple[str, str] | None:
        """(type, search) of a conditional create: nothing is made where the search finds something."""
        if self.shape in (ORDER, TASK):
            return (self.shape, self.if_none_exist) if self.if_none_exist else None
        return next(self._asked("ifNoneExist"), None)

    @property
    def expected(self) -> str | None:
        """The versions one of which must be stored, as `If-Match` or an entry's `ifMatch` says them."""
        if self.shape in (ORDER, TASK):
            return self.if_match if self.update else None
        return next((said for _, said in self._asked("ifMatch")), None)

    def _asked(self, name: str) -> Iterator[tuple[str, str]]:
        """(type, what is said) of each entry with an order or a Task whose request has `name`."""
        for one in _entries(self.document):
            said = one["request"].get(name) if isinstance(one.get("request"), dict) else None
            if _type(one) in (ORDER, TASK) and isinstance(said, str):
                yield str(_type(one)), said

    def require_shape(self) -> None:
        """Raises `NotFhir` with every fault unless this is right R4 in the shape of its address."""
        if faults := self._shape_faults() or check.faults(self.document):
            raise NotFhir(faults)

    def _shape_faults(self) -> list[Fault]:
        kind = self.document.get("resourceType")
        if self.shape in (ORDER, TASK, PATIENT) and kind != self.shape:
            return [Fault("resourceType", f"must be {self.shape} at this address")]
        if self.shape in (ORDER, TASK, PATIENT):
            return [Fault("id", "must be the id of the address")] if self.update and self.document.get("id") != self.update else []
        if kind != "Bundle" or self.document.get("type") != self.shape:
            return [Fault("Bundle.type", f"must be {self.shape} at this address")]
        found = _entries(self.document)
        if len(found) > MOST_ENTRIES:
            return [Fault("Bundle.entry", f"has more than {MOST_ENTRIES} entries; send one referral in a message")]
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


def _profiles(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    found = meta.get("profile") if isinstance(meta, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
