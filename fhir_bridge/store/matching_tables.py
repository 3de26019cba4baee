"""The tables of whose patient a referral is, where its answers go, and what must still be fetched at its sender."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, String, Table, text

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# Every patient known, as the record accepted last tells them: read from the audit trail up to `patients_read`.
patients = Table(
    "patients",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("patient", String, primary_key=True),
    Column("birth_date", String, nullable=False),
    Column("family", String, nullable=False),
    Column("document", Document, nullable=False),
    # matches.alike: who was born that day under that name
    Index("ix_patients_alike", "tenant", "birth_date", "family"),
)
patient_numbers = Table(
    "patient_numbers",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("system", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("patient", String, primary_key=True),
)
patients_read = Table("patients_read", metadata, Column("tenant", String, primary_key=True), Column("seq", Integer, nullable=False))

# Of each referral: the one hospital it belongs to, and whose patient it is.
matches = Table(
    "matches",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("referral", String, primary_key=True),
    Column("hospital", String),
    Column("verdict", String, nullable=False),
    Column("candidates", Document, nullable=False),
    Column("asked_at", UTCDateTime, nullable=False),
    Column("decided_by", String),
    CheckConstraint("verdict IN ('open', 'joined', 'new')", name="verdict"),
    # matches.open: what waits for a person
    Index(
        "ix_matches_open",
        "tenant",
        "asked_at",
        sqlite_where=text("verdict = 'open'"),
        postgresql_where=text("verdict = 'open'"),
    ),
)

# What is known of a hospital's client beyond its key.
senders = Table(
    "senders",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("client", String, primary_key=True),
    Column("hospital", String),
    Column("origin", String),
    Column("messages_to", String),
)

# A Task came whose order is at its sender: `body` is the Task, `answer` what was fetched.
fetches = Table(
    "fetches",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("client", String, nullable=False),
    Column("url", String, nullable=False),
    Column("base", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    Column("state", String, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_at", UTCDateTime),
    Column("why", String),
    Column("referral", String),
    Column("answer", LargeBinary),
    CheckConstraint("state IN ('waiting', 'fetched', 'failed')", name="state"),
    CheckConstraint("(state = 'waiting') = (next_at IS NOT NULL)", name="waits"),
    # fetches.due
    Index(
        "ix_fetches_due",
        "tenant",
        "next_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)
