"""What a sender is answered: its referral as the two resources we hold, in the shape in which it came. Pure.

`ETag` and `Location` are those of R4's http page: version ids are the record's versions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fhir_bridge.clinic import records as clinic
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.refer_shape import ORDER, TASK


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: HTTP status, headers, and the resource to send (none with 304)."""

    status: int
    body: dict[str, Any] | None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A referral as FHIR: the resources by type, each with its version."""

    version: int
    resources: dict[str, dict[str, Any]]

    def path(self, kind: str) -> str:
        """`ServiceRequest/<id>/_history/<version>`."""
        return f"{kind}/{self.resources[kind]['id']}/_history/{self.version}"

    @property
    def etag(self) -> str:
        return f'W/"{self.version}"'


def held(site: Site, record: dict[str, Any], stored_at: datetime) -> Held:
    """`record` as its ServiceRequest and Task, exactly as the hospital is sent them."""
    version = clinic.version("referral", record)
    meta = {"versionId": str(version), "lastUpdated": stored_at.isoformat()}
    written = site.mapping.to_fhir(record).resources
    return Held(version, {one["resourceType"]: {**one, "meta": meta} for one in written if one["resourceType"] in (ORDER, TASK)})


def one_resource(kind: str, found: Held, base: str, *, created: bool) -> Answer:
    """201 for a new referral, 200 for one that is known; with the resource, where it is, and its version."""
    headers = {"Location": f"{base}/{found.path(kind)}", "ETag": found.etag}
    return Answer(HTTPStatus.CREATED if created else HTTPStatus.OK, found.resources[kind], headers)


def transaction_response(document: dict[str, Any], found: Held, base: str, *, created: bool) -> Answer:
    """One entry for each that came: where the order and the Task are; the rest was taken as a part of the referral, under no address."""
    status = "201 Created" if created else "200 OK"
    entries = []
    for entry in document.get("entry", []):
        kind = entry.get("resource", {}).get("resourceType")
        response = {"status": "202 Accepted"}
        if kind in found.resources:
            response = {"status": status, "location": f"{base}/{found.path(kind)}", "etag": found.etag}
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
