"""What a hospital changed of one record: applied as the record's next version where the field is the hospital's, else a conflict."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import built, flat, schema_path
from fhir_bridge.errors import Refused
from fhir_bridge.hospital.entries import etag_of
from fhir_bridge.hospital.seen import Seen
from fhir_bridge.store import audit, conflicts, links, outbox, records
from fhir_bridge.store.conflicts import Conflict, Word
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.admission import admit_within, lane_of, read
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.convert import summed_up
from fhir_bridge.sync.delivery import held
from fhir_bridge.sync.pulling import compare
from fhir_bridge.sync.pulling.compare import NOTHING, Decision, Leaves

TURNS, TURNS_WITHIN = 3, timedelta(hours=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Where what was seen is applied: one hospital of one site, within the caller's transaction."""

    bridge: Bridge
    tx: Transaction
    tenant: str
    hospital: str

    @property
    def site(self) -> Site:
        """The site's mapping and records."""
        return self.bridge.sites[self.tenant]

    @property
    def actor(self) -> str:
        """Who did it, in the audit trail."""
        return f"hospital:{self.hospital}"


@dataclass(frozen=True, slots=True)
class About:
    """The record that speaks for the resources that changed, in its newest version, and its fields."""

    kind: str
    id: str
    version: int
    leaves: Leaves

    @property
    def subject(self) -> str:
        """As the audit trail names it."""
        return f"{self.kind}/{self.id}"


def newest(page: Page, kind: str, id: str) -> About:
    """The record as the clinic has it now."""
    stored = records.current(page.tx, page.tenant, kind, id)
    assert stored is not None, "a link speaks for stored records only"  # noqa: S101
    record = documents.loads(stored.document, max_bytes=len(stored.document))
    return About(kind, id, stored.version, flat(page.site.records.kinds[kind].schema, record))


def apply_record(page: Page, kind: str, id: str, fresh: Mapping[str, Seen]) -> dict[str, str]:
    """Apply what the hospital shows of the resources `fresh` (by our key) of one record; by our key, what became of each.

    `applied`, `conflict`, or `decorated` where both sides say the same by now. Raises the store's errors.
    """
    about = newest(page, kind, id)
    rows = held.rows_of(page.tx, page.tenant, page.hospital, (kind, id), fresh)
    before = {key: held.link(row) for key, row in rows.items()}
    shown = {key: one.resource for key, one in fresh.items() if one.resource is not None}
    after = {key: replace(link, document=shown.get(key, link.document)) for key, link in before.items()}
    shares = {key: compare.alone(page.site, kind, before[key], document) for key, document in shown.items()}
    then, now = compare.laid_over(compare.read(page.site, kind, before), compare.read(page.site, kind, after), shares)
    flying = compare.own_word(shares, in_flight(page, about))
    decision = compare.decide(then, now, sent=compare.read_sent(page.site, kind, before), ours=about.leaves, flying=flying)
    mine = about.leaves
    about, decision = _next_version(page, about, decision)
    outcomes = dict.fromkeys(fresh, "decorated")
    for path, value in (*decision.applied.items(), *decision.agreed.items()):
        for ours in compare.speakers(shares, path):
            _note_word(page, ours, path, value=value, before=mine.get(path, NOTHING))
            outcomes[ours] = "applied" if path in decision.applied else outcomes[ours]
    for path, values in decision.disputed.items():
        for ours in compare.speakers(shares, path):
            open_conflict(page, about, ours=ours, theirs=fresh[ours].theirs, path=path, values=values)
            outcomes[ours] = "conflict"
    _settle(page, about.leaves, {key: {**now, **one.after} for key, one in shares.items()})
    _keep(page, about, rows, fresh, {key: outcomes[key] == "applied" for key in fresh}, taken=decision.applied)
    _count_turns(page, about, rows, fresh, [key for key, outcome in outcomes.items() if outcome != "decorated"])
    return outcomes


def in_flight(page: Page, about: About) -> Leaves:
    """The fields of the version that is on its way to this hospital now and may have arrived."""
    lane = lane_of(page.tenant, str(about.leaves["patient.id"]))
    flying = outbox.in_flight(page.tx, page.tenant, page.hospital, lane)
    stored = records.version(page.tx, page.tenant, *flying) if flying else None
    if stored is None:
        return {}
    return flat(page.site.records.kinds[stored.kind].schema, documents.loads(stored.document, max_bytes=len(stored.document)))


def _next_version(page: Page, about: About, decision: Decision) -> tuple[About, Decision]:
    """The record with what is applied as its next version; where that is no record, all of it is for a person."""
    if not decision.applied:
        return about, decision
    try:
        return with_values(page, about, decision.applied, actor=page.actor), decision
    except Refused:
        theirs = {path: (about.leaves.get(path, NOTHING), value) for path, value in decision.applied.items()}
        return about, replace(decision, applied={}, disputed={**theirs, **decision.disputed})


def with_values(page: Page, about: About, values: Leaves, *, actor: str, detail: Mapping[str, Any] | None = None) -> About:
    """The next version of the record, with these values, taken in as any other. Raises `Refused` when that is no record."""
    kinds, kind = page.site.records, about.kind
    leaves = {path: value for path, value in {**about.leaves, **values}.items() if value is not NOTHING}
    version = f"{head}.version" if (head := kinds.kinds[kind].head) else "version"
    document = built(kinds.kinds[kind].schema, leaves | {version: about.version + 1})
    arrival = read(page.site, kind, document)
    told = {"hospital": page.hospital, "fields": sorted({schema_path(path) for path in values}), **(detail or {})}
    admit_within(page.bridge, page.tx, tenant=page.tenant, arrival=arrival, actor=actor, action="pull", detail=told)
    return About(kind, about.id, about.version + 1, flat(kinds.kinds[kind].schema, arrival.record))


def open_conflict(page: Page, about: About, *, ours: str, theirs: str, path: str, values: tuple[Any, Any], what: str = "field") -> None:
    """Write a difference down for a person, once while it is open."""
    now = page.tx.now
    mine, hospitals = (None if value is NOTHING else documents.dumps(value) for value in values)
    id = conflicts.id_of(page.hospital, ours, what, path, now)
    found = Conflict(
        page.tenant, id, page.hospital, ours, theirs, what, path, about.kind, about.id, mine, hospitals, "open", now, now,
    )  # fmt: skip
    if conflicts.open_(page.tx, found):
        field = {"field": schema_path(path)} if path else {}
        tell(page, actor=page.actor, action="conflict", id=id, detail={"of": about.subject, "what": what, **field})


def tell(page: Page, *, actor: str, action: str, id: str, detail: Mapping[str, Any]) -> None:
    """A row of the audit trail about a conflict, without a value."""
    audit.write(
        page.tx, tenant=page.tenant, actor=actor, action=action, subject=f"conflict/{id}",
        detail={"hospital": page.hospital, **detail}, now=page.tx.now, key=page.bridge.audit_key,
    )  # fmt: skip


def _note_word(page: Page, ours: str, path: str, *, value: Any, before: Any) -> None:
    said, was = (None if each is NOTHING else documents.dumps(each) for each in (value, before))
    conflicts.say(page.tx, Word(page.tenant, page.hospital, ours, path, said, was, page.tx.now))


def _settle(page: Page, ours: Leaves, theirs: Mapping[str, Leaves]) -> None:
    """Differences that are none any more are over, without anybody's doing. `theirs` is by our key."""
    for one in back_again(page, list(theirs)):
        if one.what == "field" and compare.equal(ours.get(one.path, NOTHING), theirs[one.ours].get(one.path, NOTHING)):
            settle(page, one)


def back_again(page: Page, keys: list[str]) -> list[Conflict]:
    """What was deleted or taken back and says something again is written again, also when a person let it go; returns the rest."""
    held_ = conflicts.holding(page.tx, page.tenant, page.hospital, keys) if keys else []
    for one in held_:
        if one.what in ("deleted", "retracted"):
            settle(page, one)
    return [one for one in held_ if one.what not in ("deleted", "retracted")]


def settle(page: Page, conflict: Conflict) -> None:
    """End a conflict that is none any more."""
    if conflicts.close(page.tx, conflict, state="settled", now=page.tx.now):
        told = {"of": f"{conflict.kind}/{conflict.record_id}", "what": conflict.what}
        tell(page, actor=page.actor, action="conflict-settled", id=conflict.id, detail=told)


def _keep(
    page: Page, about: About, rows: Mapping[str, links.Link], fresh: Mapping[str, Seen], applied: Mapping[str, bool], *, taken: Leaves
) -> None:
    """What the hospital shows now is what both sides last agreed on; at this hospital nothing of what it said is left to send."""
    shown = {key: seen_of(rows[key], one) for key, one in fresh.items()}
    keys = [key for key in fresh if applied[key]]
    sent = as_sent(page, about, shown, keys, taken=taken) if keys else {}
    links.refresh(page.tx, [replace(row, sent=sent.get(key, row.sent)) for key, row in shown.items()])


def _count_turns(page: Page, about: About, rows: Mapping[str, links.Link], fresh: Mapping[str, Seen], changed: list[str]) -> None:
    """Two systems that change one resource in turn would never end: it is not written any more until a person has looked."""
    for key in changed:
        now, written = page.tx.now, rows[key].updated_at
        turns = conflicts.turn(
            page.tx, tenant=page.tenant, hospital=page.hospital, ours=key, written_at=written, now=now, within=TURNS_WITHIN
        )
        if turns >= TURNS:
            log.warning("%s at %s was changed by both sides in turn %d times within an hour; it is not written", key, page.hospital, turns)
            open_conflict(page, about, ours=key, theirs=fresh[key].theirs, path="", values=(NOTHING, NOTHING), what="frozen")


def seen_of(row: links.Link, one: Seen) -> links.Link:
    """The link as of what the hospital shows now; when it was written last (`updated_at`) is ours."""
    seen = documents.dumps(one.resource) if one.resource is not None else row.seen
    return replace(row, version=one.version or None, etag=etag_of(one.version) or None, seen=seen)


def as_sent(page: Page, about: About, shown: Mapping[str, links.Link], keys: list[str], *, taken: Leaves) -> dict[str, bytes]:
    """What a delivery of the record would send of `keys`, where that is what was sent last but for the `taken` fields.

    A change of the clinic's own that is still on its way is left to send.
    """
    record = summed_up(page.site.mapping, built(page.site.records.kinds[about.kind].schema, about.leaves))
    fresh = [f"{one['resourceType']}/{one['id']}" for one in page.site.mapping.to_fhir(record).resources]
    rows = held.rows_of(page.tx, page.tenant, page.hospital, (about.kind, about.id), fresh) | dict(shown)
    links_ = {key: held.link(row) for key, row in rows.items()}
    written = page.site.mapping.to_fhir(record, onto=held.as_ours(links_))
    found = {f"{one['resourceType']}/{one['id']}": one for one in written.resources}
    known = {*taken, "version", f"{page.site.records.kinds[about.kind].head}.version"}
    return {
        key: documents.canonical(found[key])
        for key in keys
        if key in found and compare.differing(page.site, about.kind, links_[key], found[key]) <= known
    }
