"""What the hospital holds of a record: our resources and its own ids, versions and documents, read before a plan and kept after."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital import kept, wire
from fhir_bridge.hospital.client import NoReply, Reply
from fhir_bridge.hospital.entries import etag_of
from fhir_bridge.hospital.parts import Link, Write
from fhir_bridge.hospital.reply import Entry
from fhir_bridge.store import links
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.delivery.job import Job
from fhir_bridge.sync.delivery.reading import read_all

NOT_VISIBLE: dict[str, Any] = {"visible": False}


def load(job: Job, keys: Iterable[str]) -> dict[str, Link]:
    """The links of the record's resources and of `keys` (our `Type/uuid`); only those the hospital has an id for."""
    delivery = job.delivery
    with job.bridge.store.reading() as tx:
        rows = rows_of(tx, delivery.tenant, delivery.hospital, (delivery.kind, delivery.record_id), keys)
    return {ours: link(row) for ours, row in rows.items()}


def rows_of(tx: Transaction, tenant: str, hospital: str, record: tuple[str, str], keys: Iterable[str]) -> dict[str, links.Link]:
    """The rows of the resources of `record` (kind, id) and of `keys`, by our key; only those the hospital has an id for."""
    kind, record_id = record
    rows = {row.ours: row for row in links.of_record(tx, tenant, kind, record_id, hospital=hospital)}
    others = [key for key in keys if key not in rows]
    rows |= {row.ours: row for row in links.of_ours(tx, tenant, hospital, others)}
    return {ours: row for ours, row in rows.items() if row.theirs}


def known(held: Mapping[str, Link]) -> dict[str, str]:
    """Our `Type/uuid` to the hospital's `Type/id`."""
    return {key: f"{_type(key)}/{link.id}" for key, link in held.items()}


def as_ours(held: Mapping[str, Link]) -> list[dict[str, Any]]:
    """The hospital's documents in our ids and references, for the mapping to write onto."""
    back = {theirs: ours for ours, theirs in known(held).items()}
    return [
        named(link, wire.substitute(link.document, back)) | {"id": key.partition("/")[2]} for key, link in held.items() if link.document
    ]


def named(link: Link, document: dict[str, Any]) -> dict[str, Any]:
    """`document` with what the mapping knows a resource by, where the hospital dropped it: by the link we know that it is ours."""
    ours: dict[str, Any] = {name: link.sent[name] for name in ("identifier", "class") if link.sent and name in link.sent}
    return {**ours, **document}


def only_here(job: Job, resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `resources` that speak for no other record: what a session leaves behind may still be another's.

    Never a Patient. A session that moves to another patient leaves the first one as it was; to take a patient out of a hospital
    is not ours.
    """
    delivery = job.delivery
    ours, found = [(delivery.kind, delivery.record_id)], [one for one in resources if one["resourceType"] != "Patient"]
    with job.bridge.store.reading() as tx:
        said = [links.records_of(tx, delivery.tenant, delivery.hospital, f"{one['resourceType']}/{one['id']}") for one in found]
    return [one for one, records in zip(found, said, strict=True) if records in ([], ours)]


def read_back(job: Job, entries: Sequence[Entry]) -> list[Entry]:
    """`entries`, each with the document the hospital shows for it; as it was where the hospital does not show it (yet).

    Most servers send what they stored with their answer. What they did not is read in one batch, or one by one without batches.
    """
    unseen = [entry for entry in entries if not entry.document]
    replies = read_all(job, [reference(entry) for entry in unseen])
    shown = {entry.key: _as_shown(entry, reply) for entry, reply in zip(unseen, replies, strict=True)}
    return [shown.get(entry.key, entry) for entry in entries]


def row(job: Job, write: Write, entry: Entry, *, known: Mapping[str, str], adopted: Link | None = None) -> links.Link:
    """What is to be stored of `write`: what the hospital holds now, and whether that is what we sent.

    `adopted` is the link before a look found the resource there: it counts as sent only when it is what `write` would write, so
    that otherwise the next plan sends again.
    """
    gone = write.verb == "delete"
    verdict = _verdict(write, entry, known)
    ours = write.ours or write.resource  # not what the hospital's small print made of it: the next plan compares with ours
    sent = ours if adopted is None or (verdict and verdict.whole) else adopted.sent
    return links.Link(
        tenant=job.delivery.tenant,
        hospital=job.delivery.hospital,
        ours=write.key,
        theirs=None if gone else reference(entry),
        version=None if gone else entry.version or None,
        etag=None if gone else entry.etag or None,
        sent=documents.canonical(sent) if sent and not gone else None,
        seen=documents.dumps(entry.document) if entry.document and not gone else None,
        kept=documents.dumps(_told(verdict, write) if verdict else NOT_VISIBLE),
        updated_at=job.bridge.clock(),
    )


def keep(tx: Transaction, job: Job, rows: Sequence[links.Link]) -> None:
    """Store `rows` as what the delivery's record became. Raises the store's errors."""
    links.put(tx, rows, kind=job.delivery.kind, record_id=job.delivery.record_id)


def reference(entry: Entry) -> str:
    """The hospital's `Type/id`; a server that did not say the id took ours."""
    ours = entry.key.partition("/")[2]
    return f"{_type(entry.key)}/{entry.id or ours}"


def link_of(entry: Entry, *, sent: dict[str, Any] | None) -> Link:
    """What `entry` says, as a link."""
    return Link(reference(entry).partition("/")[2], entry.version, entry.etag, entry.document, sent)


def _verdict(write: Write, entry: Entry, known: Mapping[str, str]) -> kept.Comparison | None:
    if not entry.document:
        return None
    sent = wire.substitute(write.resource, known)
    return kept.Comparison() if kept.untouched(sent, entry.document) else kept.compare(sent, entry.document)


def _as_shown(entry: Entry, reply: Reply | NoReply) -> Entry:
    if not isinstance(reply, Reply) or reply.status != 200 or reply.resource_type != _type(entry.key):
        return entry
    version = str(reply.body.get("meta", {}).get("versionId", "")) or entry.version
    return Entry(entry.key, str(reply.body["id"]), version, etag_of(version) or entry.etag, reply.body, entry.status)


def link(row: links.Link) -> Link:
    """A stored row as plans and mappings read it."""
    seen, sent = (documents.loads(text) if text else None for text in (row.seen, row.sent))
    return Link((row.theirs or "").partition("/")[2], row.version or "", row.etag or "", seen, sent)


def _told(verdict: kept.Comparison, write: Write) -> dict[str, Any]:
    paths = {name: list(getattr(verdict, name)) for name in ("changed", "dropped", "added")}
    return {"whole": verdict.whole, **paths, "left_out": list(write.left_out)}


def _type(key: str) -> str:
    return key.partition("/")[0]
