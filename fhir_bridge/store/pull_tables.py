"""The tables of the pull: where the reading of each type at each hospital stands, and what was last seen of each resource of ours."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table, text

from fhir_bridge.store.columns import UTCDateTime
from fhir_bridge.store.tables import metadata

# One row for each type that is pulled. `token` counts the leases ever given; `crawl` the readings begun, `next_page` is where the
# one that was not finished goes on, `since` and `server_clock` belong to it. `watermark` is the hospital's time.
pulls = Table(
    "pulls",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("token", Integer, nullable=False, server_default=text("0")),
    Column("lease_until", UTCDateTime),
    Column("lease_holder", String),
    Column("watermark", UTCDateTime),
    Column("crawl", Integer, nullable=False, server_default=text("0")),
    Column("next_page", String),
    Column("since", UTCDateTime),
    Column("server_clock", UTCDateTime),
    Column("finished_at", UTCDateTime),
    Column("frozen_at", UTCDateTime),
    Column("frozen_why", String),
    CheckConstraint("(lease_until IS NULL) = (lease_holder IS NULL)", name="whole_lease"),
    CheckConstraint("(frozen_at IS NULL) = (frozen_why IS NULL)", name="frozen"),
)

# The newest version seen of each linked resource; a row with `gone_at` is a tombstone, and stays.
pulled = Table(
    "pulled",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("last_updated", UTCDateTime),
    Column("crawl", Integer, nullable=False),
    Column("missing", Integer, nullable=False, server_default=text("0")),
    Column("seen_at", UTCDateTime, nullable=False),
    Column("gone_at", UTCDateTime),
    # pulls.left_out: what a window should have shown
    Index("ix_pulled_window", "tenant", "hospital", "type", "last_updated"),
)
