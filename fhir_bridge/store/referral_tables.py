"""The tables of the hospital's door: what came in, byte for byte, and where each referral stands."""

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# Every referral message as it was sent, refused ones too; `answer` is what the sender got.
referrals_raw = Table(
    "referrals_raw",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("route", String, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sha256", String, nullable=False),
    Column("request_id", String),
    Column("message_id", String),
    Column("referral", String),
    Column("status", Integer, nullable=False),
    Column("answer", Document, nullable=False),
    # referrals.answered: was this message answered before?
    Index("ix_referrals_raw_request", "tenant", "client", "request_id"),
    Index("ix_referrals_raw_message", "tenant", "client", "message_id"),
    # referrals.messages_of: what came in about one referral
    Index("ix_referrals_raw_referral", "tenant", "referral", "received_at"),
)

# Where each referral stands, its sender, and the names of the two resources by which the sender may read it.
referrals = Table(
    "referrals",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("service_request", String, nullable=False),
    Column("task", String, nullable=False),
    Column("status", String, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    # referrals.listing: the newest first, all or of one status
    Index("ix_referrals_recent", "tenant", "received_at", "id"),
    Index("ix_referrals_status", "tenant", "status", "received_at", "id"),
    # referrals.by_resource
    Index("uq_referrals_service_request", "tenant", "service_request", unique=True),
    Index("uq_referrals_task", "tenant", "task", unique=True),
)
