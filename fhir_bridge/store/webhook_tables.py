"""The tables of who is told of changes: the clinic's receivers (webhooks), and the hospitals that tell us (subscriptions)."""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, String, Table, text

from fhir_bridge.store.columns import UTCDateTime
from fhir_bridge.store.tables import metadata

# A receiver of the clinic's, and how far it is in the feed of changes: everything up to `cursor` was taken, or is in webhook_messages.
webhooks = Table(
    "webhooks",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("secret", String, nullable=False),
    Column("old_secret", String),
    Column("old_until", UTCDateTime),
    Column("cursor", Integer, nullable=False),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("token", Integer, nullable=False, server_default=text("0")),
    Column("lease_until", UTCDateTime),
    Column("lease_worker", String),
    Column("created_at", UTCDateTime, nullable=False),
    Column("created_by", String, nullable=False),
    Column("stopped_at", UTCDateTime),
    Column("why_stopped", String),
    CheckConstraint("(old_secret IS NULL) = (old_until IS NULL)", name="old_secret"),
    CheckConstraint("(lease_until IS NULL) = (lease_worker IS NULL)", name="whole_lease"),
    CheckConstraint("(stopped_at IS NULL) = (why_stopped IS NULL)", name="stopped"),
)

# The changes a receiver did not take: waiting to be sent again, or dead.
webhook_messages = Table(
    "webhook_messages",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("webhook", String, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UTCDateTime),
    Column("last_at", UTCDateTime, nullable=False),
    Column("status", Integer),
    Column("cause", String, nullable=False),
    Column("dead_at", UTCDateTime),
    ForeignKeyConstraint(["tenant", "webhook"], ["webhooks.tenant", "webhooks.id"]),
    CheckConstraint("(next_at IS NULL) <> (dead_at IS NULL)", name="waits_or_is_dead"),
    # webhooks.due_messages, and whether any waits
    Index(
        "ix_webhook_messages_waiting",
        "tenant",
        "webhook",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
)

# What we asked a hospital to tell us of; of the secret part of our address only the hash. `status` as the hospital last said.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("address_sha256", String, nullable=False),
    Column("theirs", String),
    Column("status", String, nullable=False),
    Column("looked_at", UTCDateTime, nullable=False),
    Column("notified_at", UTCDateTime),
    Column("notifications", Integer, nullable=False, server_default=text("0")),
    # subscriptions.of_address
    Index("uq_subscriptions_address", "address_sha256", unique=True),
)
