"""The tables of signing in: keys, public keys, tokens, and the proofs that were used.

No secret is in any of them. Of an API key and of a token there is the SHA-256; the secret with which a clinic signs its requests is
derived from a key outside the database (`sync/clients/signed.py`), and found by the SHA-256 of its public name.
"""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, String, Table, Text

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# What a client shows (`key`), or signs its requests with (`hmac`). Several may hold at once, so that one can take another's place.
client_keys = Table(
    "client_keys",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("ends_at", UTCDateTime),
    ForeignKeyConstraint(["tenant", "client"], ["clients.tenant", "clients.id"]),
    CheckConstraint("kind IN ('key', 'hmac')", name="kind"),
    # clients.authenticate
    Index("uq_client_keys_sha256", "sha256", unique=True),
)

# The public keys of a client that signs in with an assertion: given (`jwks`), or fetched from `url` and kept a while.
client_jwks = Table(
    "client_jwks",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("url", Text),
    Column("jwks", Document),
    Column("fetched_at", UTCDateTime),
    Column("fresh_until", UTCDateTime),
    Column("tried_at", UTCDateTime),
    ForeignKeyConstraint(["tenant", "client"], ["clients.tenant", "clients.id"]),
    CheckConstraint("url IS NOT NULL OR jwks IS NOT NULL", name="from_somewhere"),
    CheckConstraint("(fetched_at IS NULL) = (fresh_until IS NULL)", name="fetched"),
    # sign_in.registered; and unique: an assertion names the client alone, and the client tells the tenant
    Index("uq_client_jwks_client", "client", unique=True),
)

# Assertions (`jti`) and signed requests (`hmac`) that were good once; kept until they would have ended anyway.
used_proofs = Table(
    "used_proofs",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("ends_at", UTCDateTime, nullable=False),
    CheckConstraint("kind IN ('jti', 'hmac')", name="kind"),
    # sign_in.forget_ended
    Index("ix_used_proofs_ended", "tenant", "ends_at"),
)

# The tokens our token endpoint gave out.
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("ends_at", UTCDateTime, nullable=False),
    # sign_in.holder
    Index("uq_access_tokens_sha256", "sha256", unique=True),
    # sign_in.forget_ended
    Index("ix_access_tokens_ended", "tenant", "ends_at"),
)

# Who was refused how often since when, by address. Whoever cannot come in has no tenant, so it is empty here.
refusals = Table(
    "refusals",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("address", String, primary_key=True),
    Column("since", UTCDateTime, nullable=False),
    Column("times", Integer, nullable=False),
    # refusals.count: what is over is deleted
    Index("ix_refusals_since", "tenant", "since"),
)
