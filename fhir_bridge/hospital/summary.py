"""The summary document: where the content goes of what a server does not take as data. Pure, and the same bytes each time."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_bridge.hospital.graph import identity

Resource = dict[str, Any]
TITLE = "What this hospital's interface does not take as data"
_SKIPPED = ("resourceType", "id", "meta", "text", "identifier", "system", "contained", "extension", "modifierExtension", "reference")


def with_folded(document: Resource, folded: Iterable[Resource]) -> Resource:
    """`document` (a DocumentReference) with the folded resources as one more readable content."""
    attachment = {"contentType": "text/plain; charset=utf-8", "title": TITLE, "data": _base64(text(folded))}
    others = [each for each in document.get("content", ()) if each.get("attachment", {}).get("title") != TITLE]
    return {**document, "content": [*others, {"attachment": attachment}]}


def made_for(resources: Mapping[str, Resource], folded: Iterable[Resource]) -> Resource | None:
    """A DocumentReference of our own for `folded`, when the record has none; None when there is no patient to speak of.

    Its id and identifier follow from the record's Encounter (else its first resource), so that it is the same for ever.
    """
    patient = next((key for key in sorted(resources) if key.startswith("Patient/")), None)
    anchor = next((key for key in sorted(resources) if key.startswith("Encounter/")), None) or min(resources, default=None)
    if patient is None or anchor is None:
        return None
    named = identity(resources[anchor])
    document: Resource = {
        "resourceType": "DocumentReference",
        "id": str(uuid5(NAMESPACE_URL, f"summary of {anchor}")),
        "status": "current",
        "type": {"text": "Infusion session summary"},
        "subject": {"reference": patient},
    }
    if named is not None:
        document["identifier"] = [{"system": named[0], "value": f"{named[1]}/summary"}]
    if anchor.startswith("Encounter/"):
        document["context"] = {"encounter": [{"reference": anchor}]}
    return with_folded(document, folded)


def text(resources: Iterable[Resource]) -> str:
    """The resources for a reader: a heading each, then a line for each element that says something."""
    blocks = []
    for resource in resources:
        lines = [f"  {name}: {said}" for name, said in _lines(resource)]
        blocks.append("\n".join([str(resource["resourceType"]), *lines]))
    return f"{TITLE}\n\n" + "\n\n".join(blocks) + "\n"


def _lines(resource: Resource) -> list[tuple[str, str]]:
    return [(name, said) for name, value in resource.items() if name not in _SKIPPED and (said := _said(value))]


def _said(value: Any) -> str:
    """`value` in one line: a code by its words, a quantity with its unit, anything else part by part."""
    if isinstance(value, list):
        return "; ".join(said for each in value if (said := _said(each)))
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value.get("coding"), list):
        return str(value.get("text") or "") or ", ".join(filter(None, (_coding(each) for each in value["coding"])))
    if "value" in value and ("unit" in value or "code" in value):
        return f"{value['value']} {value.get('unit') or value['code']}"
    if "start" in value or "end" in value:
        return f"{value.get('start', '…')} to {value.get('end', '…')}"
    parts = [(name, said) for name, each in value.items() if name not in _SKIPPED and (said := _said(each))]
    return parts[0][1] if len(parts) == 1 else ", ".join(f"{name} {said}" for name, said in parts)


def _coding(coding: Any) -> str:
    return str(coding.get("display") or coding.get("code") or "") if isinstance(coding, dict) else ""


def _base64(words: str) -> str:
    return b64encode(words.encode()).decode()
