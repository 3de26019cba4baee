"""Transactions and batches: many requests in one Bundle, all or nothing, or each for itself.

HAPI's order is kept: DELETE, POST, PUT, PATCH, and reads last. So is its trap: of two entries with the same condition and each
a fullUrl, the later is dropped with its body, references to it are re-pointed, and the response has one entry less.
"""

import base64
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from fhir_bridge import documents
from fhir_bridge.sandbox import references, search
from fhir_bridge.sandbox.outcome import Rejected, success
from fhir_bridge.sandbox.reads import Reader
from fhir_bridge.sandbox.store import Document, instant
from fhir_bridge.sandbox.writes import Writer, Written, require_unreferenced

_ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request of a Bundle; `condition` is the query it is conditional on, `identity` the id in its address."""

    method: str
    kind: str
    identity: str
    condition: str | None
    document: Document = field(repr=False)
    full_url: str
    if_match: str | None
    url: str

    @property
    def key(self) -> tuple[str, str, str] | None:
        """Two entries with the same key write the same resource on the same condition."""
        return (self.method, self.kind, self.condition) if self.condition is not None else None


def entries_of(bundle: Document) -> list[Entry]:
    """The requests of a transaction or batch Bundle."""
    if bundle.get("type") not in ("transaction", "batch"):
        raise Rejected(400, f"HAPI-0527: Unable to process transaction where incoming Bundle.type = {bundle.get('type')}")
    return [_entry(entry, place) for place, entry in enumerate(bundle.get("entry", []))]


def transaction(writer: Writer, reader: Reader, entries: list[Entry]) -> list[tuple[Entry, Written | Document]]:
    """Performs all of them in one draft; the answers in the order asked, without the entries HAPI drops."""
    kept, targets = _without_doubles(entries)
    placeholders = _placeholders(writer, kept, targets)
    writer = replace(writer, in_transaction=True, placeholders=placeholders)
    answers: dict[int, Written | Document] = {}
    for place, entry in sorted(enumerate(kept), key=lambda item: _ORDER.index(item[1].method)):
        answers[place] = {} if entry.method == "GET" else perform(writer, entry)
    for version in writer.draft.written:
        if version.document is not None:
            references.require(writer.draft, version.document, in_transaction=True)
        elif writer.draft.current(version.type, version.id) is version:
            require_unreferenced(writer.draft, version)
    for place, entry in enumerate(kept):
        if entry.method == "GET":
            answers[place] = read_entry(reader, entry)
    return [(entry, answers[place]) for place, entry in enumerate(kept)]


def perform(writer: Writer, entry: Entry) -> Written:
    """Does the write an entry asks for."""
    match entry.method:
        case "POST":
            target = writer.placeholders.get(entry.full_url, "").partition("/")[2] if entry.full_url else ""
            return writer.create(entry.kind, entry.document, condition=entry.condition, identity=target or None)
        case "PUT" if entry.condition is not None:
            target = writer.placeholders.get(entry.full_url, "").partition("/")[2] if entry.full_url else ""
            return writer.update_where(entry.kind, entry.condition, entry.document, identity=target or None)
        case "PUT":
            return writer.update(entry.kind, entry.identity, entry.document, if_match=entry.if_match)
        case "PATCH":
            operations = documents.loads(base64.b64decode(entry.document.get("data", "")))
            return writer.patch(entry.kind, entry.identity, operations, if_match=entry.if_match)
    if entry.condition is not None:
        return writer.delete_where(entry.kind, entry.condition)
    return writer.delete(entry.kind, entry.identity)


def read_entry(reader: Reader, entry: Entry) -> Document:
    """The response entry of a GET; a failing one has its own status and rolls nothing back."""
    try:
        if entry.condition is not None or not entry.identity:
            return {"resource": reader.search(entry.kind, parse_qsl(entry.condition or "")), "response": {"status": "200 OK"}}
        version = reader.read(entry.kind, entry.identity)
    except Rejected as rejected:
        return rejected_entry(rejected)
    return {"resource": version.document, "response": {"status": "200 OK", "etag": str(version.number)}}


def response(kind: str, entries: list[Document], *, base: str) -> Document:
    """The Bundle that answers; without `entry` when nothing was asked."""
    link = [{"relation": "self", "url": base}]
    bundle: Document = {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": f"{kind}-response", "link": link}
    return bundle | {"entry": entries} if entries else bundle


def answered(written: Written, *, representation: bool) -> Document:
    """The response entry of a write: relative location, bare etag, outcome; the resource only when asked for."""
    version = written.version
    outcome = success(written.code, "Successfully stored the resource")
    status = 204 if written.code.startswith("SUCCESSFUL_DELETE") else written.status
    entry: Document = {"status": status_line(status)}
    if version is not None and version.document is not None:
        entry |= {"location": version.versioned, "etag": str(version.number)}
        if written.status == 201:  # HAPI tells the time of what is new only
            entry["lastModified"] = instant(version.updated)
    answer: Document = {"response": entry | {"outcome": outcome}}
    if representation and version is not None and version.document is not None:
        answer = {"resource": version.document} | answer
    return answer


def rejected_entry(rejected: Rejected) -> Document:
    """The response entry of a request that was refused; HAPI calls each such issue an exception."""
    outcome = replace(rejected, code="exception").outcome()
    return {"response": {"status": status_line(rejected.status), "outcome": outcome}}


def status_line(status: int) -> str:
    """`201 Created`."""
    return f"{status} {HTTPStatus(status).phrase}"


def _entry(entry: Mapping[str, Any], place: int) -> Entry:
    request = entry.get("request", {})
    method, url = str(request.get("method", "")), str(request.get("url", ""))
    if method not in _ORDER:
        raise Rejected(400, f"HAPI-0531: Unable to process Bundle.entry[{place}]: request.method is missing or unknown")
    path, question, query = url.partition("?")
    kind, _, identity = path.strip("/").partition("/")
    condition = query if question else None
    if method == "POST" and (exist := request.get("ifNoneExist")):
        condition = str(exist).partition("?")[2] or str(exist)
    document = entry.get("resource", {})
    if method in ("POST", "PUT") and document.get("resourceType") != kind:
        raise Rejected(400, f"HAPI-0539: Bundle.entry[{place}].resource does not fit its request.url")
    if_match = request.get("ifMatch")
    return Entry(method, kind, identity, condition, document, str(entry.get("fullUrl", "")), if_match, url)


def _without_doubles(entries: list[Entry]) -> tuple[list[Entry], dict[str, str]]:
    """The entries HAPI performs, and for each dropped fullUrl the one that stands for it."""
    kept: list[Entry] = []
    first: dict[tuple[str, str, str], Entry] = {}
    stands_for: dict[str, str] = {}
    _require_once(entries)
    for entry in entries:
        key = entry.key if entry.method in ("POST", "PUT") else None
        if key is not None and key in first:
            if not entry.full_url:
                text = "Unable to process transaction - Multiple entries with the same conditional URL, and no fullUrl"
                raise Rejected(400, f"HAPI-2008: {text}")
            stands_for[entry.full_url] = first[key].full_url
            continue
        if key is not None:
            first[key] = entry
        kept.append(entry)
    return kept, stands_for


def _require_once(entries: list[Entry]) -> None:
    full_urls: set[str] = set()
    puts: set[str] = set()
    for entry in entries:
        if entry.full_url.startswith("urn:"):
            if entry.full_url in full_urls:
                raise Rejected(400, f"HAPI-0534: Transaction bundle contains multiple resources with ID: {entry.full_url}")
            full_urls.add(entry.full_url)
        if entry.method == "PUT" and entry.condition is None:
            if entry.url in puts:
                raise Rejected(400, f"HAPI-0535: Transaction bundle contains multiple resources with ID: {entry.url}")
            puts.add(entry.url)


def _placeholders(writer: Writer, entries: list[Entry], stands_for: Mapping[str, str]) -> dict[str, str]:
    """What each fullUrl will be: an existing match, the id in the address, or a new id."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.full_url and entry.method in ("POST", "PUT"):
            found[entry.full_url] = _target(writer, entry)
    return found | {dropped: found[first] for dropped, first in stands_for.items() if first in found}


def _target(writer: Writer, entry: Entry) -> str:
    if entry.method == "PUT" and entry.condition is None:
        return f"{entry.kind}/{entry.identity}"
    if entry.condition is not None:
        with suppress(Rejected):
            matches = search.matching(writer.draft, entry.kind, parse_qsl(entry.condition))
            if len(matches) == 1:
                return matches[0].path
    return f"{entry.kind}/{writer.draft.new_id()}"
