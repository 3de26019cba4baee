"""Who may call our doors, and the keys they show. Only a key's SHA-256 is kept, so the database cannot give a key away.

A fast hash is right here: unlike a password, the key has 256 random bits and nothing to guess. A client may hold several keys at
once: a rotation adds one, and the ones before it go on opening until their end.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import Column, and_, bindparam, or_, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.sign_in_tables import client_jwks, client_keys
from fhir_bridge.store.tables import clients as table

KINDS = ("clinic", "hospital", "admin")


class ClientExists(BridgeError):
    """A client of this id exists, revoked or not: ids are never given twice."""


@dataclass(frozen=True, slots=True)
class Client:
    """A program that may call: `kind` is clinic, hospital or admin.

    `scopes` are those it may use below /fhir, `networks` those it may call from ("10.0.0.0/8"; none: from everywhere), both as
    words between spaces.
    """

    tenant: str
    id: str
    name: str
    kind: str
    created_at: datetime
    revoked_at: datetime | None = None
    scopes: str = ""
    networks: str = ""

    def may_call_from(self, address: str | None) -> bool:
        """Is `address` in a network of the client's?"""
        if not self.networks:
            return True
        try:
            calling = ip_address(address or "")
        except ValueError:
            return False
        calling = getattr(calling, "ipv4_mapped", None) or calling
        return any(calling in ip_network(network) for network in self.networks.split())


@dataclass(frozen=True, slots=True)
class Held:
    """By what a client comes in, and until when (None: no end)."""

    means: str
    ends_at: datetime | None = None


def new_key() -> str:
    """A fresh key, 256 random bits; recognisable, so that secret scanners find it where it does not belong."""
    return f"fhirbridge_{secrets.token_urlsafe(32)}"


def register(tx: Transaction, client: Client) -> None:
    """Adds a client that has no key yet. Raises `ClientExists`."""
    if client.kind not in KINDS:
        raise ValueError(f"a client's kind is one of {', '.join(KINDS)}")
    if not tx.insert_or_ignore(table, **{name: getattr(client, name) for name in Client.__slots__}):
        raise ClientExists("a client of this id exists; choose another id")


def add(tx: Transaction, *, tenant: str, id: str, name: str, kind: str, now: datetime, scopes: str | None = None, key: str = "") -> str:
    """Adds a client and returns its key (a new one unless given), which cannot be shown again. Raises `ClientExists`.

    A hospital that is given no scopes may do all that its door offers.
    """
    allowed = ("system/*.cruds" if kind == "hospital" else "") if scopes is None else scopes
    register(tx, Client(tenant, id, name, kind, now, scopes=allowed))
    return give_key(tx, tenant=tenant, id=id, now=now, key=key)


def give_key(tx: Transaction, *, tenant: str, id: str, now: datetime, ends_at: datetime | None = None, key: str = "") -> str:
    """One more key of the client (a new one unless given), good until `ends_at`, or for ever."""
    key = key or new_key()
    keep(tx, tenant=tenant, id=id, kind="key", shown=key, now=now, ends_at=ends_at)
    return key


def keep(tx: Transaction, *, tenant: str, id: str, kind: str, shown: str, now: datetime, ends_at: datetime | None) -> None:
    """What the client shows, a key or the public name of a secret, opens from now on until `ends_at`."""
    tx.execute(client_keys.insert(), tenant=tenant, client=id, kind=kind, sha256=hashed(shown), created_at=now, ends_at=ends_at)


def end_keys(tx: Transaction, *, tenant: str, id: str, kind: str, at: datetime) -> bool:
    """The client's keys of this kind end at `at`, or earlier where they would have; False when it never had one."""
    theirs = update(client_keys).where(client_keys.c.tenant == tenant, client_keys.c.client == id, client_keys.c.kind == kind)
    longer = theirs.where(or_(client_keys.c.ends_at.is_(None), client_keys.c.ends_at > at))
    tx.execute(longer.values(ends_at=at))
    had = select(client_keys.c.sha256).where(client_keys.c.tenant == tenant, client_keys.c.client == id, client_keys.c.kind == kind)
    return tx.first(had) is not None


def authenticate(tx: Transaction, shown: str, *, kind: str = "key") -> Client | None:
    """The client that shows this; None for what is unknown, ended or revoked: one look-up for each of them.

    The index finds by hash, of which a caller can choose no part.
    """
    for *client, ends_at in tx.run(_HOLDER, shown=hashed(shown), of_kind=kind).rows:
        if ends_at is None or ends_at > tx.now:
            return Client(*client)
    return None


def of_id(tx: Transaction, tenant: str, id: str) -> Client | None:
    """The client, revoked or not."""
    return tx.one(Client, select(*columns()).where(table.c.tenant == tenant, table.c.id == id))


def revoke(tx: Transaction, *, tenant: str, id: str, now: datetime) -> bool:
    """The client gets in nowhere from now on, its tokens included; False when there was nothing to revoke."""
    active = update(table).where(table.c.tenant == tenant, table.c.id == id, table.c.revoked_at.is_(None))
    return tx.execute(active.values(revoked_at=now)).rowcount == 1


def listing(tx: Transaction, tenant: str | None = None) -> list[Client]:
    """All clients, the revoked ones too."""
    found = select(*columns()).order_by(table.c.tenant, table.c.created_at, table.c.id)
    return tx.every(Client, found.where(table.c.tenant == tenant) if tenant else found)


def held(tx: Transaction, client: Client) -> list[Held]:
    """What opens for the client at the moment; what ended is left out. The oldest first, public keys last."""
    mine = and_(client_keys.c.tenant == client.tenant, client_keys.c.client == client.id)
    good = or_(client_keys.c.ends_at.is_(None), client_keys.c.ends_at > tx.now)
    keys = tx.every(Held, select(client_keys.c.kind, client_keys.c.ends_at).where(mine, good).order_by(client_keys.c.created_at))
    theirs = and_(client_jwks.c.tenant == client.tenant, client_jwks.c.client == client.id)
    return keys + [Held(f"public keys{' at ' + url if url else ''}") for (url,) in tx.rows(select(client_jwks.c.url).where(theirs))]


def hashed(shown: str) -> str:
    """SHA-256, hex."""
    return sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()


def columns() -> list[Column[Any]]:
    """Those of a `Client`, in its order."""
    return [table.c[name] for name in Client.__slots__]


_HOLDER = Prepared(
    select(*columns(), client_keys.c.ends_at)
    .join(client_keys, (client_keys.c.tenant == table.c.tenant) & (client_keys.c.client == table.c.id))
    .where(client_keys.c.sha256 == bindparam("shown"), client_keys.c.kind == bindparam("of_kind"), table.c.revoked_at.is_(None))
)
