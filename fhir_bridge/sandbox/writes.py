"""The writes: create, update, patch, delete, each by id or by condition, with HAPI 8.8's statuses and texts.

A conditional create or update whose match goes by another client's write at the same moment cannot happen here: one request
holds the store at a time. Real HAPI answers some of those with 409, and may double a conditional update.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from fhir_bridge import documents
from fhir_bridge.sandbox import references, search
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.patch import patched
from fhir_bridge.sandbox.profile import Hospital
from fhir_bridge.sandbox.store import Document, Draft, Version, identifier_values

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_VERSION_TAG = re.compile(r'(?:W/)?"?([^"]*)"?')


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: its HTTP status, the resource as it is now, HAPI's word for it. `version` is None when there is nothing left."""

    status: int
    version: Version | None
    code: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes into one draft on behalf of one request; in a transaction references are checked at its end, by the caller."""

    draft: Draft
    hospital: Hospital
    request_id: str
    in_transaction: bool = False
    placeholders: Mapping[str, str] = field(default_factory=dict)

    def create(self, kind: str, document: Document, *, condition: str | None = None, identity: str | None = None) -> Written:
        """POST; with `condition` (If-None-Exist) what matches already is the answer, and the body is ignored."""
        self.hospital.require_advertised(kind, "create")
        if condition is not None and self.hospital.conditional(kind, "conditionalCreate"):
            matches = self._matches(kind, condition)
            if len(matches) > 1:
                raise _ambiguous("0958", kind, matches)
            if matches:
                return Written(200, matches[0], "SUCCESSFUL_CREATE_WITH_CONDITIONAL_MATCH")
        self._require_unique(kind, document)
        document = self.hospital.admitted(document, previous=None)
        version = self._write(kind, identity or self.draft.new_id(), document=document, method="POST")
        self._require_match(kind, condition, version)
        return Written(self.hospital.behaviour.created_status, version, _create_code(condition))

    def update(self, kind: str, identity: str, document: Document, *, if_match: str | None = None) -> Written:
        """PUT by id: creates what is not there yet, unless the id is a number or the server forbids it."""
        self.hospital.require_advertised(kind, "update")
        _require_same_id(identity, document)
        current = self.draft.current(kind, identity)
        if current is None:
            self.hospital.require_update_create(kind, identity)
            _require_client_id(identity)
        else:
            self.hospital.require_if_match(if_match)
            self._require_version(current, if_match)
        return self._replace(kind, identity, document, code="SUCCESSFUL_UPDATE")

    def update_where(self, kind: str, condition: str, document: Document, *, identity: str | None = None) -> Written:
        """PUT by condition: none creates, one is updated (If-Match is not looked at), several are refused."""
        self.hospital.require_advertised(kind, "update")
        self.hospital.require_conditional(kind, "conditionalUpdate")
        matches = self._matches(kind, condition)
        if len(matches) > 1:
            raise _ambiguous("0988", kind, matches)
        if matches:
            return self._replace(kind, matches[0].id, document, code="SUCCESSFUL_UPDATE_WITH_CONDITIONAL_MATCH")
        document = self.hospital.admitted(document, previous=None)
        version = self._write(kind, identity or self.draft.new_id(), document=document, method="PUT")
        self._require_match(kind, condition, version)
        return Written(201, version, "SUCCESSFUL_UPDATE_NO_CONDITIONAL_MATCH")

    def patch(self, kind: str, identity: str, operations: Any, *, if_match: str | None = None) -> Written:
        """JSON Patch (RFC 6902) of what is there."""
        self.hospital.require_advertised(kind, "patch")
        current = self.existing(kind, identity)
        self.hospital.require_if_match(if_match)
        self._require_version(current, if_match, number="0974")
        self.hospital.require_patchable(kind, operations)
        document: Document = patched(current.document, operations)
        return self._replace(kind, identity, document, code="SUCCESSFUL_PATCH")

    def delete(self, kind: str, identity: str) -> Written:
        """DELETE; what is gone or never was is a success too, and If-Match is not looked at."""
        self.hospital.require_advertised(kind, "delete")
        current = self.draft.current(kind, identity)
        if current is None:
            return Written(200, None, "SUCCESSFUL_DELETE_NOT_FOUND")
        if current.document is None:
            return Written(200, current, "SUCCESSFUL_DELETE_ALREADY_DELETED")
        deleted = self.draft.write(kind, identity, document=None, method="DELETE")
        if not self.in_transaction:
            require_unreferenced(self.draft, deleted)
        return Written(200, deleted, "SUCCESSFUL_DELETE")

    def delete_where(self, kind: str, condition: str) -> Written:
        """DELETE by condition; several matches are refused."""
        matches = self._matches(kind, condition)
        if len(matches) > 1:
            raise _ambiguous("0962", kind, matches)
        return self.delete(kind, matches[0].id) if matches else Written(200, None, "SUCCESSFUL_DELETE_NOT_FOUND")

    def existing(self, kind: str, identity: str) -> Version:
        """The current version; refused with 404 or 410 when there is none."""
        current = self.draft.current(kind, identity)
        if current is None:
            raise Rejected(404, f"HAPI-2001: Resource {kind}/{identity} is not known", "processing")
        if current.document is None:
            raise gone(current)
        return current

    def _replace(self, kind: str, identity: str, document: Document, *, code: str) -> Written:
        current = self.draft.current(kind, identity)
        previous = current.document if current else None
        document = self.hospital.admitted(document, previous=previous)
        document = references.resolved(self.draft, document, self.placeholders) | {"id": identity}
        if previous is not None:
            document = document | {"meta": _merged_meta(previous.get("meta", {}), document.get("meta", {}))}
            if documents.canonical(_content(document)) == documents.canonical(_content(previous)):
                return Written(200, current, f"{code}_NO_CHANGE")
        version = self._write(kind, identity, document=document, method="PUT")
        if previous is None:
            return Written(201, version, f"{code}_AS_CREATE" if code == "SUCCESSFUL_UPDATE" else code)
        return Written(200, version, code)

    def _write(self, kind: str, identity: str, *, document: Document, method: str) -> Version:
        document = references.resolved(self.draft, document, self.placeholders) | {"id": identity}
        if not self.in_transaction:
            references.require(self.draft, document, in_transaction=False)
        source = str(document.get("meta", {}).get("source", "")).partition("#")[0]
        meta = document.get("meta", {}) | {"source": f"{source}#{self.request_id}"}
        return self.draft.write(kind, identity, document=document | {"meta": meta}, method=method)

    def _matches(self, kind: str, condition: str) -> list[Version]:
        query = parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)
        return search.matching(self.draft, kind, query)

    def _require_unique(self, kind: str, document: Document) -> None:
        if (refusal := self.hospital.duplicate(kind)) is None:
            return
        for value in identifier_values(document):
            if any(value in identifier_values(version.document) for version in self.draft.every(kind, value)):
                raise refusal

    def _require_match(self, kind: str, condition: str | None, version: Version) -> None:
        if condition is not None and version.id not in {match.id for match in self._matches(kind, condition)}:
            status, number = (412, "0539") if self.in_transaction else (400, "0929")
            raise Rejected(status, f'HAPI-{number}: Invalid conditional URL "{kind}": the given resource is not matched by it')

    def _require_version(self, current: Version, if_match: str | None, *, number: str = "0989") -> None:
        if if_match is None:
            return
        tag = _VERSION_TAG.fullmatch(if_match.strip())
        wanted = tag[1] if tag else if_match
        if not wanted.isdigit():
            raise Rejected(500, f'HAPI-2223: For input string: "{wanted}"')
        if int(wanted) != current.number:
            status = self.hospital.behaviour.stale_status
            text = f"Trying to update {current.path}/_history/{wanted} but this is not the current version"
            raise Rejected(status, f"HAPI-0550: HAPI-{number}: {text}")


def require_unreferenced(draft: Draft, deleted: Version) -> None:
    """Refuses (409) the deletion of what another resource still refers to."""
    if place := references.pointing_at(draft, deleted.type, deleted.id):
        first = f"First reference found was resource {place}"
        text = f"Unable to delete {deleted.path} because at least one resource has a reference to this resource. {first}"
        raise Rejected(409, text)


def gone(version: Version) -> Rejected:
    """410, with the deletion's time in the text and its version in Location: the only places HAPI says them."""
    time = version.updated.isoformat(timespec="milliseconds")
    return Rejected(410, f"Resource was deleted at {time}", "processing", {"Location": version.versioned})


def _merged_meta(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """HAPI's rule: tags and security labels only ever grow by PUT; profile and source are replaced."""
    merged = dict(new)
    for name in ("tag", "security"):
        kept = old.get(name, [])
        known = {(label.get("system"), label.get("code")) for label in kept}
        if labels := kept + [label for label in new.get(name, []) if (label.get("system"), label.get("code")) not in known]:
            merged[name] = labels
    return merged


def _content(document: Mapping[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in document.get("meta", {}).items() if k not in ("versionId", "lastUpdated", "source")}
    return dict(document) | {"meta": meta}


def _require_same_id(identity: str, document: Document) -> None:
    if "id" not in document:
        raise Rejected(400, "HAPI-0419: Can not update resource, resource body must contain an ID element for update (PUT) operation")
    if document["id"] != identity:
        raise Rejected(400, "HAPI-0420: Can not update resource, resource body must contain an ID element which matches the request URL")


def _require_client_id(identity: str) -> None:
    if not _ID.fullmatch(identity):
        raise Rejected(400, f"HAPI-0521: Can not process entity with ID[{identity}], this is not a valid FHIR ID")
    if identity.isdigit():
        text = "clients may only assign IDs which contain at least one non-numeric character"
        raise Rejected(400, f"HAPI-0960: Can not create resource with ID[{identity}], no resource with this ID exists and {text}")


def _create_code(condition: str | None) -> str:
    return "SUCCESSFUL_CREATE" if condition is None else "SUCCESSFUL_CREATE_NO_CONDITIONAL_MATCH"


def _ambiguous(number: str, kind: str, matches: list[Version]) -> Rejected:
    text = f"Failed to process the request for {kind}: the match URL matched {len(matches)} resources"
    return Rejected(412, f"HAPI-{number}: {text}")
