"""Bundles: made from entries, and taken apart again without a traceback whatever a server sends.

A contained resource is a part of what contains it and stays there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_bridge.errors import Fault, Refused


class Entry(NamedTuple):
    """One request of a transaction or batch. `url` is relative (`Encounter/1`); `resource` is None for DELETE and GET."""

    method: str
    url: str
    resource: dict[str, Any] | None = None
    full_url: str | None = None
    if_match: str | None = None
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One entry of a bundle a server sent. `status` is 0 when it says none that can be read."""

    status: int = 0
    location: str | None = None
    etag: str | None = None
    resource: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None
    full_url: str | None = None


def transaction(entries: Iterable[Entry]) -> dict[str, Any]:
    """A transaction Bundle: all or nothing."""
    return _bundle("transaction", entries)


def batch(entries: Iterable[Entry]) -> dict[str, Any]:
    """A batch Bundle: each entry for itself."""
    return _bundle("batch", entries)


@dataclass(frozen=True, slots=True)
class Placed:
    """A resource where it stood: `place` is its path (`Bundle.entry[3].resource`; empty when it stood alone)."""

    place: str
    resource: dict[str, Any]
    full_url: str | None = None


def resources(document: object) -> list[dict[str, Any]]:
    """The resources of a resource, a Bundle of any type, or a list of them, in order; Bundles in Bundles are opened.

    Raises `Refused` when `document`, or a part of it, is none of these.
    """
    return [found.resource for found in placed(document)]


def placed(document: object) -> list[Placed]:
    """The same resources, each with the place where it stood and the fullUrl of its entry. Raises `Refused` as `resources` does."""
    return list(_placed(document, ""))


def entries(bundle: object) -> list[Answer]:
    """What a server answered, entry by entry and in its order; what an entry does not say is None. Never raises."""
    found = bundle.get("entry") if isinstance(bundle, dict) else None
    return [_answer(entry) for entry in found] if isinstance(found, list) else []


def next_link(bundle: object) -> str | None:
    """The address of the next page, when the server names one."""
    links = bundle.get("link") if isinstance(bundle, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            return _text(link, "url")
    return None


def _bundle(kind: str, entries: Iterable[Entry]) -> dict[str, Any]:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    made = [_entry(entry) for entry in entries]
    return bundle | {"entry": made} if made else bundle


def _entry(entry: Entry) -> dict[str, Any]:
    request = {"method": entry.method, "url": entry.url}
    if entry.if_match is not None:
        request["ifMatch"] = entry.if_match
    if entry.if_none_exist is not None:
        request["ifNoneExist"] = entry.if_none_exist
    made: dict[str, Any] = {} if entry.full_url is None else {"fullUrl": entry.full_url}
    if entry.resource is not None:
        made["resource"] = entry.resource
    made["request"] = request
    return made


def _placed(document: object, at: str, full_url: str | None = None) -> Iterable[Placed]:
    if isinstance(document, list):
        for index, one in enumerate(document):
            yield from _placed(one, f"{at}[{index}]")
        return
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        raise Refused([Fault(at, "is no FHIR resource; send a resource, a Bundle, or a JSON list of them")])
    if document["resourceType"] != "Bundle":
        yield Placed(at, document, full_url)
        return
    yield from _inside(document, at or "Bundle")


def _inside(bundle: dict[str, Any], at: str) -> Iterable[Placed]:
    found = bundle.get("entry", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Refused([Fault(f"{at}.entry", "must be a list of objects")])
    for index, entry in enumerate(found):
        if "resource" in entry:
            place = f"{at}.entry[{index}].resource"
            if isinstance(entry["resource"], list):
                raise Refused([Fault(place, "must be one resource")])
            yield from _placed(entry["resource"], place, _text(entry, "fullUrl"))


def _answer(entry: object) -> Answer:
    if not isinstance(entry, dict):
        return Answer()
    said = entry.get("response")
    response = said if isinstance(said, dict) else {}
    digits = (_text(response, "status") or "")[:3]
    return Answer(
        status=int(digits) if len(digits) == 3 and digits.isascii() and digits.isdigit() else 0,
        location=_text(response, "location"),
        etag=_text(response, "etag"),
        resource=_object(entry, "resource"),
        outcome=_object(response, "outcome"),
        full_url=_text(entry, "fullUrl"),
    )


def _text(node: dict[str, Any], name: str) -> str | None:
    value = node.get(name)
    return value if isinstance(value, str) and value else None


def _object(node: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = node.get(name)
    return value if isinstance(value, dict) else None
