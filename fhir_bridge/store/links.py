"""Our identity of a resource (`Type/uuid`) and the hospital's (`Type/id`), with what was sent, last seen there, and kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Executable, Select, and_, bindparam, delete, func, or_, select, tuple_, update

from fhir_bridge.store.among import among
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.records import Stored
from fhir_bridge.store.tables import link_records, links, records


@dataclass(frozen=True, slots=True)
class Link:
    """One resource on both sides. `theirs`, `version`, `etag`, `seen` are None until the hospital has it.

    `sent`: the resource as sent; `seen`: as the hospital last showed it; `kept`: the verdict of their comparison (JSON).
    """

    tenant: str
    hospital: str
    ours: str
    theirs: str | None
    version: str | None
    etag: str | None
    sent: bytes | None
    seen: bytes | None
    kept: bytes | None
    updated_at: datetime


def put(tx: Transaction, found: Sequence[Link], *, kind: str, record_id: str) -> None:
    """Stores each link whole (over an older one), and that it speaks for this record, beside those it spoke for before."""
    tx.upsert_all(links, [{name: getattr(link, name) for name in Link.__slots__} for link in found])
    speaks = [{"tenant": link.tenant, "kind": kind, "record_id": record_id, "hospital": link.hospital, "ours": link.ours} for link in found]
    tx.insert_or_ignore_all(link_records, speaks)


def refresh(tx: Transaction, found: Sequence[Link]) -> None:
    """Stores each link whole; which records it speaks for stays as it is."""
    tx.upsert_all(links, [{name: getattr(link, name) for name in Link.__slots__} for link in found])


def spoke_last(tx: Transaction, tenant: str, hospital: str, ours: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By our `Type/uuid`: (kind, id) of the record that was accepted last of those the resource speaks for."""
    same = and_(*(link_records.c[name] == records.c[at] for name, at in (("tenant", "tenant"), ("kind", "kind"), ("record_id", "id"))))
    latest = func.max(records.c.stored_at)
    columns = (link_records.c.ours, link_records.c.kind, link_records.c.record_id)
    where = [link_records.c.tenant == tenant, link_records.c.hospital == hospital, among(link_records.c.ours)]
    spoken = select(*columns).select_from(link_records.join(records, same)).where(*where).group_by(*columns)
    rows = tx.rows(spoken.order_by(latest, link_records.c.kind, link_records.c.record_id), names=ours)
    return {row[0]: (row[1], row[2]) for row in rows}


def leave(tx: Transaction, tenant: str, hospital: str, ours: Sequence[str], *, kind: str, record_id: str) -> None:
    """The links of our `Type/uuid` stay, and speak for this record no more."""
    whose = [link_records.c.tenant == tenant, link_records.c.kind == kind, link_records.c.record_id == record_id]
    tx.execute(delete(link_records).where(*whose, link_records.c.hospital == hospital, link_records.c.ours.in_(ours)))


def of_record(tx: Transaction, tenant: str, kind: str, record_id: str, *, hospital: str | None = None) -> list[Link]:
    """What a record became, at every hospital or at one."""
    at = {"hospital": hospital} if hospital else {}
    return tx.every(Link, _of_record(at_one=bool(hospital)), tenant=tenant, kind=kind, record_id=record_id, **at)


def verdicts(tx: Transaction, tenant: str, kind: str, record_id: str, *, hospital: str) -> list[bytes]:
    """What the hospital kept of each of the record's resources, of which that is known."""
    return [row[0] for row in tx.rows(_verdicts(), tenant=tenant, kind=kind, record_id=record_id, hospital=hospital)]


def records_of(tx: Transaction, tenant: str, hospital: str, ours: str) -> list[tuple[str, str]]:
    """(kind, record id) of every record the resource speaks for."""
    found = select(link_records.c.kind, link_records.c.record_id).where(
        link_records.c.tenant == tenant, link_records.c.hospital == hospital, link_records.c.ours == ours
    )
    return [(row[0], row[1]) for row in tx.rows(found.order_by(link_records.c.kind, link_records.c.record_id))]


def spoken_for_later(tx: Transaction, record: Stored, *, hospital: str, ours: Sequence[str]) -> list[str]:
    """Those of our `Type/uuid` that speak also for another record of the patient, stored (in any version) after this `record`."""
    same = and_(*(link_records.c[name] == records.c[at] for name, at in (("tenant", "tenant"), ("kind", "kind"), ("record_id", "id"))))
    found = select(link_records.c.ours).distinct().select_from(records.join(link_records, same))
    later = [records.c.tenant == record.tenant, records.c.patient == record.patient, records.c.stored_at > record.stored_at]
    another = or_(records.c.kind != record.kind, records.c.id != record.id)
    rows = tx.rows(found.where(*later, another, link_records.c.hospital == hospital, link_records.c.ours.in_(ours)))
    return [row[0] for row in rows]


def by_ours(tx: Transaction, tenant: str, hospital: str, ours: str) -> Link | None:
    """The link of our `Type/uuid`."""
    return tx.one(Link, select(*_columns()).where(*_at(tenant, hospital), links.c.ours == ours))


def of_ours(tx: Transaction, tenant: str, hospital: str, ours: Sequence[str]) -> list[Link]:
    """The links of those of our `Type/uuid` that have one."""
    return tx.every(Link, _of_ours(), tenant=tenant, hospital=hospital, names=ours)


def by_theirs(tx: Transaction, tenant: str, hospital: str, theirs: str) -> list[Link]:
    """The links of the hospital's `Type/id`: seldom more than one (a patient registered twice here and once there)."""
    return tx.every(Link, select(*_columns()).where(*_at(tenant, hospital), links.c.theirs == theirs).order_by(links.c.ours))


def of_theirs(tx: Transaction, tenant: str, hospital: str, theirs: Sequence[str]) -> list[Link]:
    """The links of those of the hospital's `Type/id` that have one."""
    found = tx.every(Link, select(*_columns()).where(*_at(tenant, hospital), among(links.c.theirs)), names=theirs)
    return sorted(found, key=lambda link: link.ours)  # here: asked for the order, SQLite walks all links of the hospital instead


def page(tx: Transaction, tenant: str, hospital: str, *, after: str = "", limit: int = 100) -> list[Link]:
    """What the hospital has an id for, in the order of our names, from behind `after` on."""
    found = select(*_columns()).where(*_at(tenant, hospital), links.c.theirs.is_not(None), links.c.ours > after)
    return tx.every(Link, found.order_by(links.c.ours).limit(limit))


def count(tx: Transaction, tenant: str, hospital: str) -> int:
    """How many resources the hospital has an id for."""
    found = select(func.count()).select_from(links).where(*_at(tenant, hospital), links.c.theirs.is_not(None))
    return int(tx.execute(found).scalar_one())


class Shown(NamedTuple):
    """What the hospital showed last of one resource of ours: its version, and the document."""

    ours: str
    version: str
    seen: bytes | None


def last_shown(tx: Transaction, tenant: str, hospital: str, theirs: Sequence[str]) -> dict[str, list[Shown]]:
    """By the hospital's `Type/id`: what was last shown of it, for each link."""
    found: dict[str, list[Shown]] = {}
    for reference, ours, version, seen in tx.rows(_of_theirs(links.c.seen), tenant=tenant, hospital=hospital, names=theirs):
        found.setdefault(reference, []).append(Shown(ours, version or "", seen))
    return {reference: sorted(known) for reference, known in found.items()}


def saw(tx: Transaction, tenant: str, hospital: str, rows: Sequence[tuple[str, str, str, bytes]]) -> None:
    """(ours, version, etag, document): what the hospital shows by now of what says the same as before."""
    here = {"at": tenant, "there": hospital}
    spelt = [{**here, "of": ours, "version": version or None, "etag": etag or None, "seen": seen} for ours, version, etag, seen in rows]
    if spelt:
        tx.connection.execute(_showing(), spelt)


def stamps(tx: Transaction, tenant: str, hospital: str, theirs: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """By the hospital's `Type/id`: (ours, version) of each link. What an echo is told by, without reading a document."""
    found: dict[str, list[tuple[str, str]]] = {}
    for reference, ours, version in tx.rows(_of_theirs(), tenant=tenant, hospital=hospital, names=theirs):
        found.setdefault(reference, []).append((ours, version or ""))
    return {reference: sorted(known) for reference, known in found.items()}


@cache
def _of_theirs(*more: ColumnElement[object]) -> Prepared:
    return Prepared(select(links.c.theirs, links.c.ours, links.c.version, *more).where(*_here(), among(links.c.theirs)))


@cache
def _of_ours() -> Prepared:
    return Prepared(select(*_columns()).where(*_here(), among(links.c.ours)))


@cache
def _of_record(*, at_one: bool) -> Prepared:
    return Prepared(_joined(*_columns(), at_one=at_one).order_by(links.c.hospital, links.c.ours))


@cache
def _verdicts() -> Prepared:
    return Prepared(_joined(links.c.kept, at_one=True).where(links.c.kept.is_not(None)))


def _joined(*columns: ColumnElement[object], at_one: bool) -> Select[*tuple[Any, ...]]:
    """The links of the record that is named when the statement is run."""
    same = [links.c[name] == link_records.c[name] for name in ("tenant", "hospital", "ours")]
    named = ("tenant", "kind", "record_id", *(("hospital",) if at_one else ()))
    where = [link_records.c[name] == bindparam(name) for name in named]
    return select(*columns).select_from(links.join(link_records, and_(*same))).where(*where)


def _here() -> list[ColumnElement[bool]]:
    return [links.c[name] == bindparam(name) for name in ("tenant", "hospital")]


@cache
def _showing() -> Executable:
    key = {"tenant": "at", "hospital": "there", "ours": "of"}
    return update(links).where(*(links.c[name] == bindparam(bound) for name, bound in key.items()))


def judged(tx: Transaction, tenant: str, *, after: tuple[str, str], limit: int) -> list[Link]:
    """The first `limit` links with a verdict behind `after` (hospital, our `Type/uuid`), in this order."""
    behind = tuple_(links.c.hospital, links.c.ours) > after
    found = select(*_columns()).where(links.c.tenant == tenant, links.c.kept.is_not(None), behind)
    return tx.every(Link, found.order_by(links.c.hospital, links.c.ours).limit(limit))


def _at(tenant: str, hospital: str) -> Sequence[ColumnElement[bool]]:
    return [links.c.tenant == tenant, links.c.hospital == hospital]


def _columns() -> Sequence[ColumnElement[object]]:
    return [links.c[name] for name in Link.__slots__]
