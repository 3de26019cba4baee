"""What happened to a resource as a whole: deleted, taken back, merged into another, or found there though we hold no link to it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital.entries import etag_of
from fhir_bridge.hospital.graph import references
from fhir_bridge.hospital.seen import Seen
from fhir_bridge.store import conflicts, links, records
from fhir_bridge.sync.delivery import held
from fhir_bridge.sync.pulling.compare import NOTHING, taken_back
from fhir_bridge.sync.pulling.record import Page, newest, open_conflict


def happened(page: Page, row: links.Link, one: Seen) -> tuple[str, Any] | None:
    """(what, the hospital's side of it) when `one` is no ordinary change; None when it is."""
    if one.resource is None:
        return "deleted", NOTHING
    if one.type == "Patient" and (merged := merged_into(one.resource)) is not None:
        return "merged", merged
    if taken_back(page.site, held.link(row), one.resource):
        return "retracted", one.resource
    return None


def tell(page: Page, row: links.Link, one: Seen, *, what: str, theirs: Any, speaker: tuple[str, str]) -> None:
    """A card for a person, who may have decided before. What the hospital showed last before stays what both sides agreed on."""
    decided = conflicts.holding(page.tx, page.tenant, page.hospital, [row.ours])
    if not any(each.what == what and each.state == "took-theirs" for each in decided):
        open_conflict(page, newest(page, *speaker), ours=row.ours, theirs=one.theirs, path="", values=(NOTHING, theirs), what=what)
    if one.resource is not None:
        links.refresh(page.tx, [replace(row, version=one.version or None, etag=etag_of(one.version) or None)])


def merged_into(patient: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whom a Patient was merged into (R4 Patient.link `replaced-by`); an inactive one may say nobody. None for one that is in use."""
    said = patient.get("link")
    for one in said if isinstance(said, list) else ():
        if isinstance(one, dict) and one.get("type") == "replaced-by" and isinstance(one.get("other"), dict):
            return {"reference": one["other"].get("reference")}
    return {} if patient.get("active") is False else None


def adopt(page: Page, one: Seen) -> str:
    """A resource without a link: `adopted` when it carries our identifier (its write was never heard of), else `stranger`.

    A second resource under one identifier of ours is a card for a person. What is adopted counts as not sent, so that the next
    delivery brings it to what the record says.
    """
    name = named(page, one.resource) if one.resource is not None else None
    if name is None:
        return "stranger"
    ours, kind, id = name
    known = links.by_ours(page.tx, page.tenant, page.hospital, ours)
    if known is not None and known.theirs:
        about = newest(page, kind, id)
        open_conflict(page, about, ours=ours, theirs=known.theirs, path="", values=(NOTHING, {"reference": one.theirs}), what="duplicate")
        return "duplicate"
    seen, etag = documents.dumps(one.resource), etag_of(one.version)
    found = links.Link(page.tenant, page.hospital, ours, one.theirs, one.version or None, etag or None, None, seen, None, page.tx.now)
    links.put(page.tx, [found], kind=kind, record_id=id)
    return "adopted"


def _ours(page: Page, resource: Mapping[str, Any]) -> bool:
    """Whether it carries an identifier of a system of ours. Cheap: most of what a hospital shows is not."""
    system = f"{page.site.mapping.tables.site.get('system', '')}/"
    said = resource.get("identifier")
    return any(
        isinstance(one, dict) and str(one.get("system", "")).startswith(system) for one in (said if isinstance(said, list) else [said])
    )


def named(page: Page, resource: dict[str, Any]) -> tuple[str, str, str] | None:
    """(our `Type/uuid`, kind and id of its record), as the template that reads `resource` would name it; None for no record of ours."""
    if not _ours(page, resource):
        return None
    read = page.site.mapping.from_fhir([resource]).record
    template = next((template for _, template, _ in page.site.mapping.spoken([resource])), None)
    ids = (template.id(scope) for scope in template.scopes(read, lambda *_: None)) if template else ()
    found = next((id for id in ids if id is not None), None)
    if template is None or found is None:
        return None
    ours = f"{template.type}/{found}"
    speaker = _record_of(page, read) or _of_patient(page, ours, resource)
    return (ours, *speaker) if speaker else None


def _of_patient(page: Page, ours: str, resource: dict[str, Any]) -> tuple[str, str] | None:
    """The record of the patient whom `resource` is about that makes `ours`: a follow-up says nothing of its session."""
    patients = [each for each in references(resource) if each.startswith("Patient/")]
    rows = links.of_theirs(page.tx, page.tenant, page.hospital, patients)
    speakers = links.spoke_last(page.tx, page.tenant, page.hospital, [row.ours for row in rows]).values()
    for patient in {str(newest(page, *speaker).leaves["patient.id"]) for speaker in speakers}:
        for stored in records.of_patient(page.tx, page.tenant, patient):
            made = page.site.mapping.to_fhir(documents.loads(stored.document, max_bytes=len(stored.document))).resources
            if any(f"{one['resourceType']}/{one['id']}" == ours for one in made):
                return stored.kind, stored.id
    return None


def _record_of(page: Page, read: Mapping[str, Any]) -> tuple[str, str] | None:
    """The stored record that the resource names; else, for a patient, the one of theirs that was accepted last."""
    named = (
        ("session", read.get("id")),
        ("session", _part(read, "session")),
        ("appointment", _part(read, "follow_up")),
        ("referral", _part(read, "referral")),
    )
    for kind, id in named:
        if id and records.current(page.tx, page.tenant, kind, str(id)) is not None:
            return kind, str(id)
    patient = _part(read, "patient")
    known = records.of_patient(page.tx, page.tenant, str(patient)) if patient else []
    latest = max(known, key=lambda one: one.stored_at, default=None)
    return (latest.kind, latest.id) if latest else None


def _part(read: Mapping[str, Any], name: str) -> Any:
    part = read.get(name)
    return part.get("id") if isinstance(part, dict) else None
