"""The tables of two sides that speak of one field: what a person must decide, what the hospital said of its own, and who wrote when."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table, Text, text

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# What a person decides, with both values; nothing is ever deleted. A value that is NULL is not there on that side.
conflicts = Table(
    "conflicts",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("hospital", String, nullable=False),
    Column("ours", String, nullable=False),
    Column("theirs", String, nullable=False),
    Column("what", String, nullable=False),
    Column("path", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("record_id", String, nullable=False),
    Column("our_value", Document),
    Column("their_value", Document),
    Column("state", String, nullable=False),
    Column("opened_at", UTCDateTime, nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
    Column("decided_by", String),
    Column("why", Text),
    CheckConstraint("what IN ('field', 'deleted', 'retracted', 'merged', 'duplicate', 'frozen')", name="what"),
    CheckConstraint("(what = 'field') = (path <> '')", name="path"),
    CheckConstraint("state IN ('open', 'kept-ours', 'took-theirs', 'settled')", name="state"),
    CheckConstraint("state NOT IN ('kept-ours', 'took-theirs') OR decided_by IS NOT NULL", name="decided"),
    # conflicts.listing
    Index("ix_conflicts_state", "tenant", "state", "opened_at", "id"),
    # conflicts.holding: what a delivery must leave alone
    Index("ix_conflicts_resource", "tenant", "hospital", "ours", "state"),
    # one difference is one conflict while it is open
    Index(
        "uq_conflicts_open",
        "tenant",
        "hospital",
        "ours",
        "what",
        "path",
        unique=True,
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
)

# What a hospital itself said of a field: it stands there until the hospital says otherwise or a person decides. `before` is what
# the clinic's record said then: a later record that still says it has not been changed by the clinic.
hospital_words = Table(
    "hospital_words",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("ours", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("value", Document),
    Column("before", Document),
    Column("said_at", UTCDateTime, nullable=False),
)

# How often one resource was changed by both sides in turn since `since`.
resource_turns = Table(
    "resource_turns",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("ours", String, primary_key=True),
    Column("turns", Integer, nullable=False),
    Column("since", UTCDateTime, nullable=False),
    Column("last_at", UTCDateTime, nullable=False),
    CheckConstraint("turns >= 1", name="turns"),
)
