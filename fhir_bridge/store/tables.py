"""Every table. Keys start with the tenant, so that a sharded PostgreSQL can split them unchanged.

What must not exist is refused by a CHECK, not by code: half a lease, a wait without an end, a dead letter without a reason.
On SQLite a table whose rows are small lies in its key's order, so that a row is one page to write and not two.
The outbox's hot path never reads what is finished: a lane says itself when it is next due (`due_at`), and the index of open
deliveries holds only open ones (`closed_at IS NULL`), so a million delivered rows cost nothing.
"""

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Integer, MetaData, String, Table, Text, text

from fhir_bridge.store.columns import Document, UTCDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, String, primary_key=True) for name in names]


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


# First answers, for the life of the record: the same key and body gets the first answer again.
inbox = Table(
    "inbox",
    metadata,
    *_key("tenant", "client", "key"),
    Column("body_sha256", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("response", Document, nullable=False),
    Column("answered_at", UTCDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# Every version of every clinic record, in normal form.
records = Table(
    "records",
    metadata,
    *_key("tenant", "kind", "id"),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("patient", String, nullable=False),
    Column("document", Document, nullable=False),
    Column("sha256", String, nullable=False),
    Column("stored_at", UTCDateTime, nullable=False),
    CheckConstraint("version >= 1", name="version"),
    # records.of_patient: everything known of one patient
    Index("ix_records_patient", "tenant", "patient", "kind", "id"),
)

# What all workers must agree on about one hospital: its breaker and its pause.
hospitals = Table(
    "hospitals",
    metadata,
    *_key("tenant", "hospital"),
    _count("failures"),
    Column("recent", String, nullable=False, server_default=text("''")),
    Column("opened_at", UTCDateTime),
    Column("retry_at", UTCDateTime),
    Column("why_open", String),
    Column("probe_lane", String),
    Column("probe_until", UTCDateTime),
    Column("paused_at", UTCDateTime),
    Column("paused_by", String),
    Column("paused_why", String),
    CheckConstraint("(opened_at IS NULL) = (retry_at IS NULL) AND (opened_at IS NULL) = (why_open IS NULL)", name="breaker"),
    CheckConstraint("(probe_lane IS NULL) = (probe_until IS NULL)", name="probe"),
    CheckConstraint("probe_lane IS NULL OR opened_at IS NOT NULL", name="probe_when_open"),
    CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (paused_why IS NULL)", name="pause"),
)

# The CapabilityStatement last fetched, and the different one before it.
statements = Table(
    "statements",
    metadata,
    *_key("tenant", "hospital"),
    Column("statement", Document, nullable=False),
    Column("sha256", String, nullable=False),
    Column("fetched_at", UTCDateTime, nullable=False),
    Column("previous", Document),
    Column("changed_at", UTCDateTime),
    CheckConstraint("(previous IS NULL) = (changed_at IS NULL)", name="previous"),
)

# One queue per hospital and patient. `token` counts the leases ever given: the fencing token of the newest one.
lanes = Table(
    "lanes",
    metadata,
    *_key("tenant", "hospital", "lane"),
    Column("next_seq", Integer, nullable=False),
    Column("due_at", UTCDateTime),
    _count("token"),
    Column("lease_until", UTCDateTime),
    Column("lease_worker", String),
    ForeignKeyConstraint(["tenant", "hospital"], ["hospitals.tenant", "hospitals.hospital"]),
    CheckConstraint("next_seq >= 1", name="next_seq"),
    CheckConstraint("(lease_until IS NULL) = (lease_worker IS NULL) AND (lease_until IS NULL OR token > 0)", name="whole_lease"),
    # lanes.lease: of one hospital, the free lane that has been due the longest
    Index(
        "ix_lanes_due",
        "tenant",
        "hospital",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# One version of one record on its way to one hospital; `seq` is the order of commits within the lane.
deliveries = Table(
    "deliveries",
    metadata,
    *_key("tenant", "hospital", "lane"),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("record_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String),
    Column("detail", Document),
    _count("attempts"),
    _count("retries"),
    _count("worker_deaths"),
    Column("created_at", UTCDateTime, nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
    Column("next_at", UTCDateTime),
    Column("decided_by", String),
    Column("closed_at", UTCDateTime),
    ForeignKeyConstraint(["tenant", "hospital", "lane"], ["lanes.tenant", "lanes.hospital", "lanes.lane"]),
    ForeignKeyConstraint(["tenant", "kind", "record_id", "version"], ["records.tenant", "records.kind", "records.id", "records.version"]),
    CheckConstraint(
        "state IN ('pending', 'sending', 'ambiguous', 'retry_wait', 'delivered', 'dead', 'discarded', 'superseded')", name="state"
    ),
    CheckConstraint("(state IN ('delivered', 'discarded', 'superseded')) = (closed_at IS NOT NULL)", name="closed"),
    CheckConstraint("state <> 'retry_wait' OR next_at IS NOT NULL", name="wait_has_an_end"),
    CheckConstraint("next_at IS NULL OR state IN ('retry_wait', 'ambiguous')", name="only_waits_have_an_end"),
    CheckConstraint("state NOT IN ('dead', 'discarded') OR reason IS NOT NULL", name="reason"),
    CheckConstraint("state <> 'discarded' OR decided_by IS NOT NULL", name="discarded_by"),
    # next_delivery, waiting, dead, blocked_lanes: only what is open, in lane order
    Index(
        "ix_deliveries_open",
        "tenant",
        "hospital",
        "lane",
        "seq",
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    # of_record, supersede, and "is an earlier version of this record still open?"
    Index("ix_deliveries_record", "tenant", "kind", "record_id", "hospital", "version"),
)

# Written before the bytes leave. A row without an outcome means: nobody knows, look at the hospital first.
attempts = Table(
    "attempts",
    metadata,
    *_key("tenant", "hospital", "lane"),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("body_sha256", String, nullable=False),
    Column("worker", String, nullable=False),
    Column("token", Integer, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("outcome", String),
    Column("detail", Document),
    Column("ended_at", UTCDateTime),
    ForeignKeyConstraint(
        ["tenant", "hospital", "lane", "seq"], ["deliveries.tenant", "deliveries.hospital", "deliveries.lane", "deliveries.seq"]
    ),
    CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="outcome"),
    # open_attempt; and unique: a delivery has at most one call in the air
    Index(
        "uq_attempts_open",
        "tenant",
        "hospital",
        "lane",
        "seq",
        unique=True,
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    sqlite_with_rowid=False,
)


def _archive_of(table: Table, *indexes: Index) -> Table:
    """The same columns and key, and no rule: nothing here changes any more."""
    columns = [Column(one.name, one.type, primary_key=one.primary_key, nullable=one.nullable, autoincrement=False) for one in table.columns]
    return Table(f"archived_{table.name}", metadata, *columns, *indexes)


# What was finished long ago, out of the way of what is not (store/archive.py).
archived_deliveries = _archive_of(deliveries, Index("ix_archived_deliveries_record", "tenant", "kind", "record_id", "hospital", "version"))
archived_attempts = _archive_of(attempts)

# Our identity of a resource (`Type/uuid`) and the hospital's.
links = Table(
    "links",
    metadata,
    *_key("tenant", "hospital", "ours"),
    Column("theirs", String),
    Column("version", String),
    Column("etag", String),
    Column("sent", Document),
    Column("seen", Document),
    Column("kept", Document),
    Column("updated_at", UTCDateTime, nullable=False),
    CheckConstraint("theirs IS NOT NULL OR (version IS NULL AND etag IS NULL AND seen IS NULL)", name="theirs"),
    # links.by_theirs: whose resource is this? Not unique: a patient registered twice here is one there
    Index("ix_links_theirs", "tenant", "hospital", "theirs"),
)

# Which records a linked resource speaks for: one Patient serves every session of the patient.
link_records = Table(
    "link_records",
    metadata,
    *_key("tenant", "kind", "record_id", "hospital", "ours"),
    ForeignKeyConstraint(["tenant", "hospital", "ours"], ["links.tenant", "links.hospital", "links.ours"]),
    sqlite_with_rowid=False,
)

# Who did what: rows are only ever added, each sealed over the one before it. Triggers refuse UPDATE and DELETE.
audit = Table(
    "audit",
    metadata,
    *_key("tenant"),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", UTCDateTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("detail", Document, nullable=False),
    Column("previous", String, nullable=False),
    Column("seal", String, nullable=False),
)

# The end of each tenant's chain; its row lock puts the writers of one tenant in a line.
audit_heads = Table(
    "audit_heads",
    metadata,
    *_key("tenant"),
    Column("seq", Integer, nullable=False),
    Column("seal", String, nullable=False),
)

# Who may call our doors; what they show there is in sign_in_tables.py.
clients = Table(
    "clients",
    metadata,
    *_key("tenant", "id"),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("revoked_at", UTCDateTime),
    Column("scopes", Text, nullable=False, server_default=text("''")),
    Column("networks", Text, nullable=False, server_default=text("''")),
    CheckConstraint("kind IN ('clinic', 'hospital', 'admin')", name="kind"),
)
