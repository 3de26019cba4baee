"""What signing in must remember across processes: public keys as last read, proofs that were used, tokens that were given."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Table, and_, bindparam, delete, or_, select, tuple_, update

from fhir_bridge.store import clients
from fhir_bridge.store.clients import Client, ClientExists, hashed
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.sign_in_tables import access_tokens, client_jwks, used_proofs
from fhir_bridge.store.tables import clients as clients_table

_FORGET_AT_ONCE = 20  # rows; more than one request adds, so that what ended goes, and few enough not to be felt


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """A client's public keys: a JWKS that was given, or one at `url` with what was last read there."""

    tenant: str
    client: str
    url: str | None
    jwks: bytes | None = None
    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    tried_at: datetime | None = None


def put_public_keys(tx: Transaction, keys: PublicKeys) -> None:
    """The client signs in by these from now on. Raises `ClientExists` when a client of this id does at another site."""
    found = tx.first(select(client_jwks.c.tenant).where(client_jwks.c.client == keys.client, client_jwks.c.tenant != keys.tenant))
    if found is not None:
        raise ClientExists("a client of this id signs in at another site; an assertion names the client alone, so choose another id")
    tx.upsert(client_jwks, **{name: getattr(keys, name) for name in PublicKeys.__slots__})


def registered(tx: Transaction, client_id: str) -> tuple[Client, PublicKeys] | None:
    """The client that signs in under this id, with its public keys; None for an unknown or revoked one."""
    row = tx.first(_REGISTERED, shown=client_id)
    width = len(Client.__slots__)
    return (Client(*row[:width]), PublicKeys(*row[width:])) if row is not None else None


def may_fetch(tx: Transaction, keys: PublicKeys, *, now: datetime, pause: timedelta) -> bool:
    """True for one process in each `pause`; it should read the client's JWKS now."""
    mine = and_(client_jwks.c.tenant == keys.tenant, client_jwks.c.client == keys.client)
    due = or_(client_jwks.c.tried_at.is_(None), client_jwks.c.tried_at <= now - pause)
    return tx.execute(update(client_jwks).where(mine, due).values(tried_at=now)).rowcount == 1


def fetched(tx: Transaction, keys: PublicKeys, *, jwks: bytes, now: datetime, fresh_until: datetime) -> None:
    """What was read at the client's address, and until when it need not be read again."""
    mine = and_(client_jwks.c.tenant == keys.tenant, client_jwks.c.client == keys.client)
    tx.execute(update(client_jwks).where(mine).values(jwks=jwks, fetched_at=now, fresh_until=fresh_until))


def use_proof(tx: Transaction, *, client: Client, kind: str, proof: str, ends_at: datetime) -> bool:
    """True the first time: a proof (the `jti` of an assertion, the id of a signed request) is good once, in whatever process."""
    return tx.insert_or_ignore(used_proofs, tenant=client.tenant, client=client.id, kind=kind, sha256=hashed(proof), ends_at=ends_at)


def give_token(tx: Transaction, client: Client, *, scopes: str, now: datetime, ends_at: datetime) -> str:
    """A new token of 256 random bits for the client; it is not kept, only its hash is."""
    token = f"fhirbridge_token_{secrets.token_urlsafe(32)}"
    tx.execute(
        access_tokens.insert(),
        tenant=client.tenant,
        client=client.id,
        sha256=hashed(token),
        scopes=scopes,
        created_at=now,
        ends_at=ends_at,
    )
    return token


def holder(tx: Transaction, token: str) -> Client | None:
    """The client that was given this token, with the token's scopes; None for what is unknown, ended, or of a revoked client."""
    row = tx.first(_HOLDER, shown=hashed(token))
    if row is None or row.ends_at <= tx.now:
        return None
    return replace(Client(*row[:-2]), scopes=row[-2])


def forget_ended(tx: Transaction, tenant: str, *, now: datetime) -> None:
    """Some of what has ended is deleted; two processes that do so at once take different rows."""
    for table, key in _FORGOTTEN.items():
        columns = [table.c[name] for name in key]
        ended = select(*columns).where(table.c.tenant == tenant, table.c.ends_at <= now).limit(_FORGET_AT_ONCE)
        tx.execute(delete(table).where(tuple_(*columns).in_(ended.with_for_update(skip_locked=True))))


_FORGOTTEN: dict[Table, tuple[str, ...]] = {used_proofs: ("tenant", "client", "kind", "sha256"), access_tokens: ("tenant", "sha256")}
_SIGNS_IN = and_(client_jwks.c.tenant == clients_table.c.tenant, client_jwks.c.client == clients_table.c.id)
_REGISTERED = (
    select(*clients.columns(), *(client_jwks.c[name] for name in PublicKeys.__slots__))
    .join(client_jwks, _SIGNS_IN)
    .where(client_jwks.c.client == bindparam("shown"), clients_table.c.revoked_at.is_(None))
)
_WAS_GIVEN = and_(access_tokens.c.tenant == clients_table.c.tenant, access_tokens.c.client == clients_table.c.id)
_HOLDER = (
    select(*clients.columns(), access_tokens.c.scopes.label("given"), access_tokens.c.ends_at)
    .join(access_tokens, _WAS_GIVEN)
    .where(access_tokens.c.sha256 == bindparam("shown"), clients_table.c.revoked_at.is_(None))
)
