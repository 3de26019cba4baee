"""What a sender is answered: its referral as the two resources we hold, in the shape in which it came. Pure.

`ETag` and `Location` are those of R4's http page: version ids are the record's versions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records as clinic
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.referrals.shape import ORDER, PATIENT, TASK


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: HTTP status, headers, and the resource to send (none with 304)."""

    status: int
    body: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A referral as FHIR: its order, its Task and its Patient by type, since when they are so.

    The order and the Task have the record's version. A Patient may be in several referrals: its version is made of what it says.
    """

    version: int
    resources: dict[str, dict[str, Any]]
    since: datetime

    def path(self, kind: str) -> str:
        """`ServiceRequest/<id>/_history/<version>`."""
        return f"{kind}/{self.resources[kind]['id']}/_history/{self.version_of(kind)}"

    def version_of(self, kind: str) -> str:
        return str(self.resources[kind]["meta"]["versionId"])

    def headers(self, kind: str) -> dict[str, str]:
        """`ETag` and `Last-Modified`."""
        return {"ETag": self.etag(kind), "Last-Modified": format_datetime(self.since, usegmt=True)}

    def etag(self, kind: str) -> str:
        return f'W/"{self.version_of(kind)}"'


def held(site: Site, record: dict[str, Any], since: datetime) -> Held:
    """`record` as its ServiceRequest, Task and Patient, exactly as the hospital is sent them."""
    version = clinic.version("referral", record)
    written = {one["resourceType"]: one for one in site.mapping.to_fhir(record).resources}
    versions = {ORDER: str(version), TASK: str(version), PATIENT: sha256(documents.canonical(written[PATIENT])).hexdigest()[:16]}
    when = since.isoformat()
    made = {kind: {**written[kind], "meta": {"versionId": said, "lastUpdated": when}} for kind, said in versions.items()}
    return Held(version, made, since)


def one_resource(kind: str, found: Held, base: str, *, created: bool) -> Answer:
    """201 for a new referral, 200 for one that is known; with the resource, where it is, and its version."""
    headers = {"Location": f"{base}/{found.path(kind)}", **found.headers(kind)}
    return Answer(HTTPStatus.CREATED if created else HTTPStatus.OK, found.resources[kind], headers)


def transaction_response(document: dict[str, Any], found: Held, base: str, *, created: bool) -> Answer:
    """One entry for each that came: where the order and the Task are; the rest was taken as a part of the referral, under no address."""
    status = "201 Created" if created else "200 OK"
    entries = []
    for entry in document.get("entry", []):
        kind = entry.get("resource", {}).get("resourceType")
        response = {"status": "202 Accepted"}
        if kind in (ORDER, TASK):
            response = {"status": status, "location": f"{base}/{found.path(kind)}", "etag": found.etag(kind)}
        entries.append({"response": response})
    return Answer(HTTPStatus.OK, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def response_message(header: dict[str, Any], found: Held, base: str, *, new_id: Callable[[], str]) -> Answer:
    """The response message of R4 messaging: to whom, about which message, that it was taken, and as what."""
    event: dict[str, Any] = {name: header[name] for name in ("eventCoding", "eventUri") if name in header}
    answer: dict[str, Any] = {
        "resourceType": "MessageHeader", "id": new_id(), **event,
        "destination": [{"endpoint": header["source"]["endpoint"]}],
        "source": {"endpoint": f"{base}/$process-message"},
        "response": {"identifier": header["id"], "code": "ok"},
        "focus": [{"reference": f"Task/{found.resources[TASK]['id']}"}],
    }  # fmt: skip
    inside = [{"fullUrl": f"urn:uuid:{answer['id']}", "resource": answer}]
    inside += [{"fullUrl": f"{base}/{kind}/{found.resources[kind]['id']}", "resource": found.resources[kind]} for kind in (TASK, ORDER)]
    return Answer(HTTPStatus.OK, {"resourceType": "Bundle", "id": new_id(), "type": "message", "entry": inside})
