"""The parts of a referral that senders write in many ways, as the clinic's fields: requester, insurance, attachments, numbers.

Nothing is fetched: what a reference names is looked up among what was sent, and otherwise its display is all there is.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

Node = Mapping[str, Any]
_PHONE = re.compile(r"[+0-9(][-+0-9 ()./x]{0,39}")
_HOSPITALS_OWN = frozenset({"MR", "PI", "PT", "AN", "MRT"})
UNKNOWN_MEDIA = "application/octet-stream"


def requester(reference: Node, sent: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`{id?, name?, organization?, phone?}` of who refers: a Practitioner, a PractitionerRole, an Organization or a bare display."""
    who = sent.get(str(reference.get("reference")), {})
    kind = who.get("resourceType")
    role: Node = who if kind == "PractitionerRole" else {}
    person_reference: Node = role.get("practitioner", {}) if role else reference
    person = sent.get(str(person_reference.get("reference")), {}) if role else (who if kind == "Practitioner" else {})
    place_reference: Node = role.get("organization", {}) if role else (reference if kind == "Organization" else {})
    place = sent.get(str(place_reference.get("reference")), {})
    organization = place.get("name") or place_reference.get("display")
    said = {
        "id": _number(person) or _identifier(person_reference.get("identifier")) or _number(place),
        "name": _name(person) or person_reference.get("display") or reference.get("display") or organization,
        "organization": organization,
        "phone": _phone(role) or _phone(person) or _phone(place),
    }
    return {name: value for name, value in said.items() if value}


def insurance(references: Any, sent: Mapping[str, dict[str, Any]]) -> str:
    """Who pays, in words; empty when nobody says."""
    return "; ".join(filter(None, (_cover(one, sent) for one in references or [])))


def attachments(sent: Mapping[str, dict[str, Any]], task: Node, hash_url: str) -> list[dict[str, Any]]:
    """The documents that came along, numbered in their order; the hash is of the content that was sent inline."""
    found = [_attachment(one, title, hash_url) for one, title in _attached(sent, task)]
    return [{"id": f"{number:02}", **one} for number, one in enumerate(found, 1)]


def hospital_numbers(patient: Node, own_system: str) -> list[dict[str, Any]]:
    """The patient's identifiers that say whose they are, typed as the hospital's numbers; other kinds of number stay as they are.

    One without a system or a value tells nobody, and is left out.
    """
    kept = []
    for one in patient.get("identifier", []):
        kinds = {coding.get("code") for coding in one.get("type", {}).get("coding", [])}
        if one.get("system") == own_system or not is_whole(one):
            continue
        hospitals = not kinds or kinds & _HOSPITALS_OWN
        typed = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}}
        kept.append({name: value for name, value in one.items() if name in ("system", "value")} | typed if hospitals else one)
    return kept


def is_whole(identifier: Node) -> bool:
    """Does it say a number and whose it is?"""
    return bool(identifier.get("system") and identifier.get("value"))


def placer(order: Node, own_system: str) -> dict[str, str] | None:
    """The hospital's number of the order: the one typed PLAC, else the first that says whose it is."""
    whose = [one for one in order.get("identifier", []) if one.get("system") not in (None, own_system) and one.get("value")]
    typed = [one for one in whose if any(coding.get("code") == "PLAC" for coding in one.get("type", {}).get("coding", []))]
    return next(({"system": one["system"], "value": one["value"]} for one in (*typed, *whose)), None)


def named_by_id(order: Node, header: Node) -> dict[str, str] | None:
    """The order's own UUID as its number: what BaRS's updates and cancellations name it by. Only a message's id outlives the message."""
    try:
        return {"system": "urn:ietf:rfc:3986", "value": UUID(str(order.get("id"))).urn} if header else None
    except ValueError:
        return None


def notes(resource: Node) -> str:
    """All notes as one text."""
    return "\n\n".join(one["text"] for one in resource.get("note", []) if one.get("text"))


def _attached(sent: Mapping[str, dict[str, Any]], task: Node) -> Iterator[tuple[Node, str]]:
    for one in sent.values():
        if one["resourceType"] == "DocumentReference":
            title = one.get("description") or one.get("type", {}).get("text") or ""
            yield from ((content["attachment"], title) for content in one.get("content", []) if "attachment" in content)
    for given in task.get("input", []):
        if "valueAttachment" in given:
            yield given["valueAttachment"], given.get("type", {}).get("text", "")


def _attachment(one: Node, title: str, hash_url: str) -> dict[str, Any]:
    media = str(one.get("contentType", "")).partition(";")[0].strip().lower()
    said = {"title": one.get("title") or title or "Document", "content_type": media or UNKNOWN_MEDIA}
    stated = next((each.get("valueString") for each in one.get("extension", []) if each.get("url") == hash_url), None)
    sent = content(one.get("data"))
    hashed = sha256(sent).hexdigest() if sent is not None else stated
    return said | ({"sha256": hashed} if hashed else {})


def content(data: Any) -> bytes | None:
    """An attachment's inline content; None where none was sent."""
    try:
        return base64.b64decode(data) if isinstance(data, str) else None
    except binascii.Error:
        return None


def _cover(reference: Node, sent: Mapping[str, dict[str, Any]]) -> str:
    if reference.get("display"):
        return str(reference["display"])
    cover = sent.get(str(reference.get("reference")), {})
    payers = [one.get("display") or sent.get(str(one.get("reference")), {}).get("name") for one in cover.get("payor", [])]
    member = cover.get("subscriberId")
    return ", ".join(filter(None, [*payers, cover.get("type", {}).get("text"), f"member {member}" if member else None]))


def _name(person: Node) -> str:
    for one in person.get("name", []) if person.get("resourceType") == "Practitioner" else []:
        return str(one.get("text") or " ".join([*one.get("prefix", []), *one.get("given", []), one.get("family", "")]).strip())
    return ""


def _number(resource: Node) -> str:
    return next(filter(None, map(_identifier, resource.get("identifier", []))), "")


def _identifier(one: Node | None) -> str:
    return str((one or {}).get("value", ""))


def _phone(resource: Node) -> str:
    numbers = (str(one.get("value", "")) for one in resource.get("telecom", []) if one.get("system") == "phone")
    return next((one for one in numbers if _PHONE.fullmatch(one)), "")
