"""The tables of the hospital's door: what came in, byte for byte, and where each referral stands."""

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# Every referral message as it was sent, refused ones too; `answer` is what the sender got, `status` 0 while it is being read.
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
    Column("correlation_id", String),
    # referrals.answered: was this message answered before?
    Index("ix_referrals_raw_request", "tenant", "client", "request_id"),
    Index("ix_referrals_raw_message", "tenant", "client", "message_id"),
    # referrals.messages_of: what came in about one referral
    Index("ix_referrals_raw_referral", "tenant", "referral", "received_at"),
)

# Referrals that were stored and answered and are not read yet; `why` tells what keeps one from being read.
referrals_unread = Table(
    "referrals_unread",
    metadata,
    *(Column(name, String, primary_key=True) for name in ("tenant", "referral")),
    *(Column(name, String, nullable=False) for name in ("client", "message", "base")),
    Column("received_at", UTCDateTime, nullable=False),
    Column("why", Text),
    sqlite_with_rowid=False,
)

# Messages whose bytes are stored and that have no answer yet: how each was asked. A row left over is of a process that died reading it.
referrals_arriving = Table(
    "referrals_arriving",
    metadata,
    *(Column(name, String, primary_key=True) for name in ("tenant", "message")),
    *(Column(name, String, nullable=False) for name in ("client", "base", "update", "if_none_exist")),
    Column("if_match", String),
    Column("received_at", UTCDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# Where each referral stands, its sender, and what the sender may find and read it by: the names of its resources, its times.
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
    Column("patient", String, nullable=False),
    Column("authored_at", UTCDateTime),
    Column("updated_at", UTCDateTime, nullable=False),
    # referrals.listing: the newest first, all or of one status
    Index("ix_referrals_recent", "tenant", "received_at", "id"),
    Index("ix_referrals_status", "tenant", "status", "received_at", "id"),
    # referrals.by_resource
    Index("uq_referrals_service_request", "tenant", "service_request", unique=True),
    Index("uq_referrals_task", "tenant", "task", unique=True),
    # referral_search.found: what one sender's referrals are, and those of one patient
    Index("ix_referrals_sender", "tenant", "client", "updated_at", "id"),
    Index("ix_referrals_patient", "tenant", "client", "patient", "updated_at", "id"),
)

# What a referral's resources are called: the identifiers of its order, its Task and its Patient.
referral_names = Table(
    "referral_names",
    metadata,
    *(Column(name, String, primary_key=True) for name in ("tenant", "client", "kind", "value", "system", "referral")),
    # referral_search.follow
    Index("ix_referral_names_referral", "tenant", "referral"),
)
