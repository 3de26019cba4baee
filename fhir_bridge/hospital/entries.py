"""What a successful answer says the hospital holds: id, version, ETag, document. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from fhir_bridge.hospital.exchange import Reply
from fhir_bridge.hospital.parts import Write

_LOCATION = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?/?$")
_ETAG = re.compile(r'^(?:W/)?"?([A-Za-z0-9.-]{1,64})"?$')
_STATUS = re.compile(r"^\s*([1-5]\d\d)\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the hospital holds now for `key`: its id and version, `etag` ready for If-Match (`W/"3"`), the document if it was sent back.

    `id` is empty for a conditional update that answers without Location: search for it.
    """

    key: str
    id: str
    version: str = ""
    etag: str = ""
    document: dict[str, Any] | None = None
    status: int = 200


def entry_of(write: Write, reply: Reply) -> Entry | None:
    """The entry a 2xx speaks of; None when the answer names another type or id, or says nothing that could be checked."""
    kind = write.key.split("/")[0]
    if reply.resource_type not in ("", kind, "OperationOutcome"):
        return None
    document: dict[str, Any] = reply.body if reply.resource_type == kind else {}
    location = _LOCATION.search((reply.header("Location") or reply.header("Content-Location")).split("?")[0])
    tag = _ETAG.match(reply.header("ETag").strip())
    named = location.groups() if location else ("", "", "")
    version = (tag.group(1) if tag else "") or named[2] or _version(document)
    ours = write.target or (write.key.split("/")[1] if write.verb == "put" else "")
    id_ = named[1] or str(document.get("id", "")) or ours
    wrong = named[0] not in ("", kind) or bool(ours and id_ != ours)
    silent = not (location or tag or document) and write.verb != "delete"
    return None if wrong or silent else Entry(write.key, id_, version, etag_of(version), document or None, reply.status)


def _version(document: dict[str, Any]) -> str:
    meta = document.get("meta")
    return str(meta.get("versionId", "")) if isinstance(meta, dict) else ""


def etag_of(version: str) -> str:
    """The weak ETag FHIR uses for a version (`W/"3"`); empty when no version is known."""
    return f'W/"{version}"' if version else ""


def entry_reply(answer: Any, whole: Reply) -> Reply:
    """One entry of a response Bundle as the reply it would have been alone. A status that cannot be read is 0."""
    entry = answer if isinstance(answer, dict) else {}
    said = entry.get("response")
    response = said if isinstance(said, dict) else {}
    found = _STATUS.match(str(response.get("status", "")))
    headers = {name: str(response[key]) for name, key in (("location", "location"), ("etag", "etag")) if response.get(key)}
    for name in ("date", "retry-after"):
        if name in whole.headers:
            headers[name] = whole.headers[name]
    status = int(found.group(1)) if found else 0
    body = entry.get("resource") if status < 300 else response.get("outcome") or entry.get("resource")
    return Reply(status, headers, body if isinstance(body, dict) else None, 0, whole.content_type)
