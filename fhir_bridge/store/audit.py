"""Who did what: rows are only added, and each is sealed (HMAC-SHA256) over the one before it, per tenant.

The key lives outside the database, so that whoever can write rows cannot seal them. Triggers refuse UPDATE and DELETE; the chain
finds what was done past the triggers. Cutting the newest rows off together with the head is found only by a head kept elsewhere:
write `head` down outside and give it to `verify` as `anchor`.

Write the audit row last in a transaction: it holds the tenant's chain until the commit.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update

from fhir_bridge import documents
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.tables import audit as table
from fhir_bridge.store.tables import audit_heads

_BEGINNING = "0" * 64
_HELD_HEAD = Prepared(select(audit_heads.c.seq, audit_heads.c.seal).where(audit_heads.c.tenant == bindparam("of_tenant")).with_for_update())
_MOVE_HEAD = Prepared(update(audit_heads).where(audit_heads.c.tenant == bindparam("of_tenant")))
_ADD = Prepared(insert(table))


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: `actor` did `action` to `subject`, each an id or a word without patient data; `detail` is JSON; `seal` hex."""

    tenant: str
    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: bytes
    previous: str
    seal: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a tenant's chain: the newest row's number (0 for none) and seal."""

    seq: int
    seal: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row of a chain that cannot be trusted, and why."""

    seq: int
    why: str


def write(tx: Transaction, *, tenant: str, actor: str, action: str, subject: str, detail: Any, now: datetime, key: bytes) -> Entry:
    """Adds a row. `detail` is anything `documents.canonical` takes."""
    if not (found := tx.run(_HELD_HEAD, of_tenant=tenant).rows):
        tx.insert_or_ignore(audit_heads, tenant=tenant, seq=0, seal=_BEGINNING)
        found = tx.run(_HELD_HEAD, of_tenant=tenant).rows
    last = Head(*found[0])
    seen = documents.canonical(detail)
    seal = _seal(key, last.seal, tenant, last.seq + 1, now, actor, action, subject, seen)
    entry = Entry(tenant, last.seq + 1, now, actor, action, subject, seen, last.seal, seal)
    tx.run(_ADD, **{name: getattr(entry, name) for name in Entry.__slots__})
    tx.run(_MOVE_HEAD, of_tenant=tenant, seq=entry.seq, seal=entry.seal)
    return entry


def head(tx: Transaction, tenant: str) -> Head:
    """The end of the chain, to be kept outside the database."""
    return tx.one(Head, _head(tenant)) or Head(0, _BEGINNING)


def of_subject(tx: Transaction, tenant: str, subject: str) -> list[Entry]:
    """What was done to one record, delivery or client, the first first."""
    found = _rows().where(table.c.tenant == tenant, table.c.subject == subject)
    return tx.every(Entry, found.order_by(table.c.seq))


def following(tx: Transaction, tenant: str, actions: Sequence[str], *, after: int, until: int, limit: int) -> list[Entry]:
    """The first `limit` rows of `actions` with `after` < number <= `until`, in the order they were committed in."""
    return tx.every(Entry, _FOLLOWING, of_tenant=tenant, actions=list(actions), after=after, until=until, most=limit)


def verify(tx: Transaction, tenant: str, key: bytes, *, anchor: Head | None = None) -> Broken | None:
    """Reads the whole chain; the first row that was changed, deleted, inserted, moved or cut off, None when all is well."""
    reached, anchored = Head(0, _BEGINNING), anchor is None or anchor.seq == 0
    found = _rows().where(table.c.tenant == tenant).order_by(table.c.seq)
    with tx.execute(found.execution_options(yield_per=1000)) as rows:  # closed early too: on PostgreSQL it is a cursor of the server
        for row in rows:
            entry = Entry(*row)
            if why := _fault(entry, key, reached):
                return Broken(reached.seq + 1, why)
            reached = Head(entry.seq, entry.seal)
            if anchor and anchor.seq == reached.seq:
                if anchor != reached:
                    return Broken(reached.seq, "differs from the anchor")
                anchored = True
    if anchored and head(tx, tenant) == reached:
        return None
    return Broken(reached.seq + 1, "missing: the chain ends before its head" if anchored else "missing: the chain ends before the anchor")


def _fault(entry: Entry, key: bytes, before: Head) -> str | None:
    if entry.seq != before.seq + 1:
        return "missing"
    if entry.previous != before.seal:
        return "does not follow the row before it"
    seal = _seal(key, before.seal, entry.tenant, entry.seq, entry.at, entry.actor, entry.action, entry.subject, entry.detail)
    return None if hmac.compare_digest(seal, entry.seal) else "changed, or sealed with another key"


def _seal(key: bytes, previous: str, *told: Any) -> str:
    spoken = [value.isoformat() if isinstance(value, datetime) else value for value in told[:-1]]
    return hmac.new(key, documents.canonical([previous, *spoken, told[-1].decode()]), sha256).hexdigest()


def _head(tenant: str) -> Select[*tuple[Any, ...]]:
    return select(audit_heads.c.seq, audit_heads.c.seal).where(audit_heads.c.tenant == tenant)


def _rows() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Entry.__slots__))


_FOLLOWING = (
    _rows()
    .where(table.c.tenant == bindparam("of_tenant"), table.c.seq > bindparam("after"), table.c.seq <= bindparam("until"))
    .where(table.c.action.in_(bindparam("actions", expanding=True)))
    .order_by(table.c.seq)
    .limit(bindparam("most"))
)
