"""What a step looks like on the wire. Pure: documents in, `Call` out."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from fhir_bridge import documents
from fhir_bridge.hospital.exchange import JSON_PATCH, Call
from fhir_bridge.hospital.graph import identity, renamed, substitute
from fhir_bridge.hospital.parts import Step, Write

__all__ = ["call_of", "halves", "reading", "substitute"]

# What was stored comes with the answer, where the server knows how (FHIR R4, http.html#ops): nothing has to be read back.
PREFER = {"Prefer": "return=representation"}


def call_of(step: Step, known: Mapping[str, str], *, etags: Mapping[str, str] | None = None) -> Call:
    """The request of `step`. `known` maps our keys to the hospital's `Type/id`; `etags` overrides ETags by our key (after a re-read).

    `match` is only searched for (`verify.searches`): it has no request of its own, and is a `ValueError` here.
    """
    if any(write.verb == "match" for write in step.writes):
        raise ValueError("a match is searched for, not sent")
    known = renamed({**known, **_within(step, known)})
    single = [_request(write, known, etags or {}) for write in step.writes]
    if step.rung == "single":
        return single[0] if single[0].body is None else replace(single[0], headers={**single[0].headers, **PREFER})
    entries = [_entry(write, call) for write, call in zip(step.writes, single, strict=True)]
    return Call("POST", "", {"resourceType": "Bundle", "type": step.rung, "entry": entries}, PREFER)


def reading(references: Sequence[str]) -> Call:
    """One batch that reads each of `references` (`Type/id`); the entries answer in this order."""
    entries = [{"request": {"method": "GET", "url": each}} for each in references]
    return Call("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})


def halves(step: Step) -> tuple[Step, ...]:
    """`step` as two smaller ones in the same order, to find the entry a server refuses; one write cannot be divided."""
    if len(step.writes) < 2:
        return (step,)
    middle = len(step.writes) // 2
    parts = (step.writes[:middle], step.writes[middle:])
    return tuple(replace(step, writes=part, rung=step.rung if len(part) > 1 else "single") for part in parts)


def _within(step: Step, known: Mapping[str, str]) -> dict[str, str]:
    """What entries of one transaction call each other while the server has not named them: urn:uuid, or our own id where we PUT it."""
    if step.rung != "transaction":
        return {}
    return {
        write.key: write.key if write.verb == "put" else f"urn:uuid:{write.resource['id']}"
        for write in step.writes
        if write.key not in known and write.verb in ("put", "create-if-none", "put-if-one")
    }


def _request(write: Write, known: Mapping[str, str], etags: Mapping[str, str]) -> Call:
    kind = write.key.split("/")[0]
    resource = substitute(write.resource, known)
    etag = etags.get(write.key, write.etag)
    match = {"If-Match": etag} if etag else {}
    target = f"{kind}/{write.target}"
    if write.verb == "put":
        return Call("PUT", write.key, resource, match)
    if write.verb == "update":
        return Call("PUT", target, {**resource, "id": write.target}, match)
    if write.verb == "patch":
        return Call("PATCH", target, [substitute(each, known) for each in write.patch], {"Content-Type": JSON_PATCH, **match})
    if write.verb == "delete":
        return Call("DELETE", target, None, match)
    body = {name: value for name, value in resource.items() if name != "id"}
    condition = _condition(write)
    if write.verb == "put-if-one":
        return Call("PUT", f"{kind}?{condition}", body)
    return Call("POST", kind, body, {"If-None-Exist": condition} if write.verb == "create-if-none" else {})


def _condition(write: Write) -> str:
    """`identifier=system|value`, percent-encoded; commas, bars and dollars of the value escaped first (FHIR R4, search.html#escaping)."""
    system, value = identity(write.resource) or ("", "")
    return f"identifier={quote(escaped(system), safe='')}%7C{quote(escaped(value), safe='')}"


def escaped(text: str) -> str:
    """`text` as one value of a token search parameter."""
    for character in ("\\", "|", ",", "$"):
        text = text.replace(character, "\\" + character)
    return text


def _entry(write: Write, call: Call) -> dict[str, Any]:
    request: dict[str, Any] = {"method": call.method, "url": call.path}
    for header, name in (("If-Match", "ifMatch"), ("If-None-Exist", "ifNoneExist")):
        if header in call.headers:
            request[name] = call.headers[header]
    entry: dict[str, Any] = {"fullUrl": f"urn:uuid:{write.resource['id']}", "request": request}
    if call.method == "PATCH":
        entry["resource"] = {"resourceType": "Binary", "contentType": JSON_PATCH, "data": b64encode(documents.dumps(call.body)).decode()}
    elif call.body is not None:
        entry["resource"] = call.body
    return entry
