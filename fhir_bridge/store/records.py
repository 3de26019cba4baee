"""Every version of every clinic record, in normal form, by (tenant, kind, id, version)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, insert, select, tuple_

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.tables import records


class VersionTaken(BridgeError):
    """This version of the record is stored already, with another content: a change needs a higher version."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a record. `sha256` (hex) is of the document's canonical bytes, as the caller gave it."""

    tenant: str
    kind: str
    id: str
    version: int
    patient: str
    document: bytes
    sha256: str
    stored_at: datetime


def put(
    tx: Transaction, *, tenant: str, kind: str, id: str, version: int, patient: str, document: bytes, sha256: str, now: datetime
) -> bool:
    """Stores a version; False when it is stored already. Raises `VersionTaken` when it has another content, or a newer one is stored."""
    wanted = Stored(tenant, kind, id, version, patient, document, sha256, now)
    values = {name: getattr(wanted, name) for name in Stored.__slots__}
    if tx.run(_PUT, **values).rowcount == 1:
        return True
    newest = current(tx, tenant, kind, id)
    if newest is None or newest.version > version:
        stored = newest.version if newest else version
        raise VersionTaken(f"version {stored} of this {kind} is stored; send a change as a higher version")
    if newest.sha256 != sha256:
        raise VersionTaken(f"version {version} of this {kind} is stored with another content; send a change as a higher version")
    return False


def current(tx: Transaction, tenant: str, kind: str, id: str) -> Stored | None:
    """The highest version."""
    return tx.one(Stored, _CURRENT, tenant=tenant, kind=kind, id=id)


def newest(tx: Transaction, tenant: str, pairs: Sequence[tuple[str, str]]) -> list[Stored]:
    """The highest version of each of these (kind, id), in their order."""
    if not pairs:
        return []
    found = {(row.kind, row.id): Stored(*row) for row in tx.execute(_NEWEST, of_tenant=tenant, pairs=list(pairs))}
    return [found[pair] for pair in pairs if pair in found]


def version(tx: Transaction, tenant: str, kind: str, id: str, version: int) -> Stored | None:
    """One version."""
    return tx.one(Stored, _VERSION, tenant=tenant, kind=kind, id=id, version=version)


def versions(tx: Transaction, tenant: str, kind: str, id: str) -> list[Stored]:
    """All versions, the first first."""
    return tx.every(Stored, _of(tenant, kind, id).order_by(records.c.version))


def listing(tx: Transaction, *, tenant: str, kind: str, before: datetime | None = None, limit: int = 50) -> list[Stored]:
    """The versions stored most recently, newest first; `before` a time continues a page."""
    found = _select(records.c.tenant == tenant, records.c.kind == kind)
    if before:
        found = found.where(records.c.stored_at < before)
    return tx.every(Stored, found.order_by(records.c.stored_at.desc()).limit(limit))


def of_patient(tx: Transaction, tenant: str, patient: str) -> list[Stored]:
    """The current version of everything known of one patient."""
    newest = select(records.c.kind, records.c.id, func.max(records.c.version)).where(records.c.tenant == tenant)
    newest = newest.where(records.c.patient == patient).group_by(records.c.kind, records.c.id)
    key = tuple_(records.c.kind, records.c.id, records.c.version)
    found = _select(records.c.tenant == tenant, records.c.patient == patient, key.in_(newest))
    return tx.every(Stored, found.order_by(records.c.kind, records.c.id))


def _of(tenant: str, kind: str, id: str) -> Select[*tuple[Any, ...]]:
    return _select(records.c.tenant == tenant, records.c.kind == kind, records.c.id == id)


def _select(*where: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return select(*(records.c[name] for name in Stored.__slots__)).where(*where)


def _unless_newer() -> Prepared:
    """A row, unless this version or a newer one is there."""
    stored = records.alias("stored")
    same = [stored.c[name] == bindparam(name) for name in ("tenant", "kind", "id")]
    newer = exists().where(*same, stored.c.version >= bindparam("version"))
    row = select(*(bindparam(name, type_=records.c[name].type) for name in Stored.__slots__)).where(~newer)
    return Prepared(insert(records).from_select(list(Stored.__slots__), row))


_PUT = _unless_newer()
_THIS = [records.c[name] == bindparam(name) for name in ("tenant", "kind", "id")]
_CURRENT = Prepared(_select(*_THIS).order_by(records.c.version.desc()).limit(1))
_VERSION = Prepared(_select(*_THIS, records.c.version == bindparam("version")))
_NEWEST = _select(
    records.c.tenant == bindparam("of_tenant"), tuple_(records.c.kind, records.c.id).in_(bindparam("pairs", expanding=True))
).order_by(records.c.version)
