"""Clients come, change their keys and go; each step is in the audit trail, and no secret is.

A rotation gives a new key at once and lets the old ones open until the overlap ends, so that nobody is refused in between. A process
killed at either side of the commit (R3) leaves the old key good in any case; whoever did not see the new one rotates again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.store import audit, clients, sign_in
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.sign_in import PublicKeys
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import jwks as sign_in_jwks
from fhir_bridge.sync.clients import signed

DEFAULT_OVERLAP = timedelta(hours=24)

#: what is shown once: `key`, or `signer` and `secret`; nothing for a client with public keys of its own
Shown = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a client proves who it is: by a key of ours ("key", the default), a secret it signs with ("hmac"), or its own public keys."""

    kind: str = "key"
    jwks: Any = None
    jwks_url: str | None = None
    lasts: timedelta | None = None

    @property
    def by_public_keys(self) -> bool:
        return self.jwks is not None or self.jwks_url is not None


def register(
    bridge: Bridge, client: Client, wanted: Wanted, *, by: str, alongside: Callable[[Transaction], None] = lambda _: None
) -> Shown:
    """Adds the client; returns what it must be told, which cannot be shown again. Raises `ClientExists`, and `Refused` for bad keys.

    `alongside` writes what must be stored with the client or not at all.
    """
    _check(bridge, wanted)
    with bridge.store.transaction() as tx:
        clients.register(tx, client)
        shown = _equip(bridge, tx, client, wanted)
        alongside(tx)
        detail = {"kind": client.kind, "scopes": client.scopes, "networks": client.networks, "by": _means(wanted)}
        _write(bridge, tx, client.tenant, client.id, by=by, action="add-client", detail=detail)
    return shown


def rotate(bridge: Bridge, *, tenant: str, id: str, wanted: Wanted, overlap: timedelta, by: str) -> tuple[Shown, datetime]:
    """A new key for the client; (what it must be told, when the old ones end). Public keys take the place of the old ones at once."""
    _check(bridge, wanted)
    with bridge.store.transaction() as tx:
        client, until = _active(tx, tenant, id), tx.now + overlap
        if not wanted.by_public_keys and not clients.end_keys(tx, tenant=tenant, id=id, kind=wanted.kind, at=until):
            raise Refused([Fault("id", "has no such key to rotate; a client with public keys of its own rotates them itself")])
        fault_point("R3")
        shown = _equip(bridge, tx, client, wanted)
        detail = {"by": _means(wanted), "old_until": until.isoformat()}
        _write(bridge, tx, tenant, id, by=by, action="rotate-key", detail=detail)
    fault_point("R3")
    return shown, until


def revoke(bridge: Bridge, *, tenant: str, id: str, by: str) -> None:
    """The client, its keys and its tokens open nothing from now on. Raises `Refused` when there is no such active client."""
    with bridge.store.transaction() as tx:
        if not clients.revoke(tx, tenant=tenant, id=id, now=tx.now):
            raise Refused([Fault("id", "the site has no active client of this id")])
        _write(bridge, tx, tenant, id, by=by, action="revoke-client", detail={})


def readable(bridge: Bridge, client: Client) -> bool:
    """Are public keys to be had at the client's registered address now? They are kept when they are."""
    with bridge.store.reading() as tx:
        found = sign_in.registered(tx, client.id)
    return found is not None and bool(sign_in_jwks.fetch(bridge, found[1]))


def _check(bridge: Bridge, wanted: Wanted) -> None:
    if wanted.jwks is not None:
        sign_in_jwks.read(wanted.jwks)
    if wanted.jwks_url is not None:
        if not wanted.jwks_url.startswith(("https://", "http://127.0.0.1:")):  # the latter only where a test lets it pass
            raise Refused([Fault("jwks_url", "must begin with https://")])
        bridge.outside.check(wanted.jwks_url)


def _equip(bridge: Bridge, tx: Transaction, client: Client, wanted: Wanted) -> Shown:
    now = tx.now
    if wanted.by_public_keys:
        jwks = None if wanted.jwks is None else documents.dumps(wanted.jwks)
        sign_in.put_public_keys(tx, PublicKeys(client.tenant, client.id, wanted.jwks_url, jwks))
        return {}
    ends_at = now + wanted.lasts if wanted.lasts is not None else None
    if wanted.kind == "hmac":
        name = signed.new_name()
        clients.keep(tx, tenant=client.tenant, id=client.id, kind="hmac", shown=name, now=now, ends_at=ends_at)
        return {"signer": name, "secret": signed.secret_of(bridge, name)}
    return {"key": clients.give_key(tx, tenant=client.tenant, id=client.id, now=now, ends_at=ends_at)}


def _active(tx: Transaction, tenant: str, id: str) -> Client:
    client = clients.of_id(tx, tenant, id)
    if client is None or client.revoked_at is not None:
        raise Refused([Fault("id", "the site has no active client of this id")])
    return client


def _means(wanted: Wanted) -> str:
    if wanted.by_public_keys:
        return "public keys" if wanted.jwks_url is None else "public keys at an address"
    return wanted.kind


def _write(bridge: Bridge, tx: Transaction, tenant: str, id: str, *, by: str, action: str, detail: Mapping[str, Any]) -> None:
    audit.write(
        tx, tenant=tenant, actor=by, action=action, subject=f"client/{id}", detail=dict(detail), now=tx.now, key=bridge.audit_key
    )  # fmt: skip
