"""References: found, rewritten (urn:uuid placeholders, inline matches) and held to what exists, as HAPI does on write.

HAPI checks only references a search parameter indexes (`Encounter.hospitalization.origin` is not); it strips versions, refuses
absolute addresses, and leaves contained (`#…`) and identifier-only references alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from fhir_bridge.sandbox import parameters, search
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.store import Document, Draft

_PLACEHOLDER = re.compile(r"urn:(uuid|oid):")


def found(document: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every (path, reference) of a document; the path without indexes: `participant.actor`."""
    if isinstance(document, list):
        for item in document:
            yield from found(item, path)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key == "reference" and isinstance(value, str):
                yield path, value
            else:
                yield from found(value, f"{path}.{key}".lstrip("."))


def rewritten(document: Any, new: Callable[[str], str]) -> Any:
    """`document` with every reference replaced by what `new` makes of it."""
    if isinstance(document, list):
        return [rewritten(item, new) for item in document]
    if not isinstance(document, dict):
        return document
    return {key: new(value) if key == "reference" and isinstance(value, str) else rewritten(value, new) for key, value in document.items()}


def resolved(draft: Draft, document: Document, placeholders: Mapping[str, str]) -> Document:
    """`document` with placeholders and inline matches (`Patient?identifier=…`) made into ids, and versions stripped."""

    def new(reference: str) -> str:
        if reference in placeholders:
            return placeholders[reference]
        if "?" in reference and not reference.startswith(("http:", "https:", "#")):
            return _inline_match(draft, reference)
        return reference.partition("/_history/")[0]

    result: Document = rewritten(document, new)
    return result


def require(draft: Draft, document: Document, *, in_transaction: bool) -> None:
    """Refuses references to what is not here, was deleted, is of a wrong type, or is somewhere else."""
    kind = document["resourceType"]
    for path, reference in found(document):
        if reference.startswith("#"):
            continue
        if _PLACEHOLDER.match(reference):
            number, text = ("0541", "Failed to resolve temporary reference") if in_transaction else ("0505", "Invalid reference found")
            raise Rejected(400, f"HAPI-{number}: {text} at path {kind}.{path}: {reference}")
        allowed = parameters.targets_of(kind, path)
        if allowed is not None:
            _require(draft, f"{kind}.{path}", reference, allowed=allowed)


def pointing_at(draft: Draft, kind: str, identity: str) -> str | None:
    """The path of a resource that still refers to this one, or None."""
    wanted = f"{kind}/{identity}"
    for other in parameters.by_type():
        for version in draft.every(other):
            for path, reference in found(version.document):
                if reference == wanted and version.path != wanted and parameters.targets_of(other, path) is not None:
                    return f"{version.path} in path {other}.{path}"
    return None


def _require(draft: Draft, path: str, reference: str, *, allowed: frozenset[str]) -> None:
    if re.match(r"https?:", reference):
        raise Rejected(400, f"HAPI-0507: Resource contains external reference to URL {reference} but this server is not configured for it")
    target, _, identity = reference.partition("/")
    if allowed and target in parameters.by_type() and target not in allowed:
        raise Rejected(422, f"HAPI-0931: Invalid reference found at path '{path}'. Resource type '{target}' is not valid for this path")
    version = draft.current(target, identity)
    if version is None:
        raise Rejected(400, f"HAPI-1094: Resource {reference} not found, specified in path: {path}")
    if version.document is None:
        raise Rejected(400, f"HAPI-1096: Resource {reference} is deleted, specified in path: {path}")


def _inline_match(draft: Draft, reference: str) -> str:
    kind, _, query = reference.partition("?")
    matches = search.matching(draft, kind, parse_qsl(query)) if kind in parameters.by_type() else []
    if not matches:
        raise Rejected(404, f'HAPI-1091: Invalid match URL "{reference}" - No resources match this search')
    if len(matches) > 1:
        raise Rejected(412, f'HAPI-1092: Invalid match URL "{reference}" - Multiple resources match this search')
    return matches[0].path
