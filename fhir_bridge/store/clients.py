"""Who may call our doors. A client shows a 256-bit key; only its SHA-256 is kept, so the database cannot give a key away.

A fast hash is right here: unlike a password, the key has nothing to guess.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Column, bindparam, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.tables import clients as table

KINDS = ("clinic", "hospital", "admin")


class ClientExists(BridgeError):
    """A client of this id exists, revoked or not: ids are never given twice."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that may call: `kind` is clinic, hospital or admin."""

    tenant: str
    id: str
    name: str
    kind: str
    created_at: datetime
    revoked_at: datetime | None = None


def new_key() -> str:
    """A fresh key, 256 random bits; recognisable, so that secret scanners find it where it does not belong."""
    return f"fhirbridge_{secrets.token_urlsafe(32)}"


def add(tx: Transaction, *, tenant: str, id: str, name: str, kind: str, now: datetime, key: str | None = None) -> str:
    """Adds a client and returns its key (a new one unless given), which cannot be shown again. Raises `ClientExists`."""
    if kind not in KINDS:
        raise ValueError(f"a client's kind is one of {', '.join(KINDS)}")
    key = key or new_key()
    if not tx.insert_or_ignore(table, tenant=tenant, id=id, name=name, kind=kind, key_sha256=_hash(key), created_at=now):
        raise ClientExists("a client of this id exists; choose another id")
    return key


def authenticate(tx: Transaction, key: str) -> Client | None:
    """The client that holds the key, None for an unknown or revoked one; equally long for each."""
    shown = _hash(key)
    row = tx.first(_HOLDER, shown=shown)
    # the index finds by hash, of which a caller can choose no part; the comparison is constant-time all the same
    known = hmac.compare_digest(shown, row[-1] if row else _hash(""))
    return Client(*row[:-1]) if row and known and row.revoked_at is None else None


def revoke(tx: Transaction, *, tenant: str, id: str, now: datetime) -> bool:
    """The key opens nothing from now on; False when there was nothing to revoke."""
    active = update(table).where(table.c.tenant == tenant, table.c.id == id, table.c.revoked_at.is_(None))
    return tx.execute(active.values(revoked_at=now)).rowcount == 1


def listing(tx: Transaction, tenant: str | None = None) -> list[Client]:
    """All clients, the revoked ones too."""
    found = select(*_columns()).order_by(table.c.tenant, table.c.created_at, table.c.id)
    return tx.every(Client, found.where(table.c.tenant == tenant) if tenant else found)


def _hash(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _columns() -> list[Column[Any]]:
    return [table.c[name] for name in Client.__slots__]


_HOLDER = select(*_columns(), table.c.key_sha256).where(table.c.key_sha256 == bindparam("shown"))
