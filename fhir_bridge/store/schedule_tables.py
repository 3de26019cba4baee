"""The tables of the schedule: when syncs run, what became of each run, and pulls that a hospital's notification asks for."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table, text

from fhir_bridge.store.columns import Document, UTCDateTime
from fhir_bridge.store.tables import metadata

# When a site's syncs run. `hospitals` is a JSON list, NULL for all the site has at the time; `next_at` was worked out in `zone`.
schedules = Table(
    "schedules",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("what", String, nullable=False),
    Column("hospitals", Document),
    Column("cron", String, nullable=False),
    Column("zone", String, nullable=False),
    Column("older_than", Integer),
    Column("made_at", UTCDateTime, nullable=False),
    Column("made_by", String, nullable=False),
    Column("next_at", UTCDateTime),
    Column("paused_at", UTCDateTime),
    Column("paused_by", String),
    Column("paused_why", String),
    CheckConstraint("what IN ('push', 'pull', 'both', 'reconcile', 'archive')", name="what"),
    CheckConstraint("(what = 'archive') = (older_than IS NOT NULL)", name="older_than"),
    CheckConstraint("(next_at IS NULL) = (paused_at IS NOT NULL)", name="next"),
    CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (paused_why IS NULL)", name="pause"),
    # schedules.due
    Index("ix_schedules_next", "next_at"),
)

# Every run, by a number that only grows: it is the run's fencing token. `schedule` is NULL for one that nobody had scheduled.
# `due_at` is the time it answers; `missed` later ones had passed by then, and are answered with it.
runs = Table(
    "runs",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("schedule", String),
    Column("actor", String, nullable=False),
    Column("what", String, nullable=False),
    Column("hospitals", Document, nullable=False),
    Column("due_at", UTCDateTime),
    Column("missed", Integer, nullable=False, server_default=text("0")),
    Column("worker", String, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("lease_until", UTCDateTime),
    Column("ended_at", UTCDateTime),
    Column("outcome", String),
    Column("report", Document, nullable=False),
    CheckConstraint("what IN ('push', 'pull', 'both', 'reconcile', 'archive')", name="what"),
    CheckConstraint("outcome IN ('done', 'failed', 'stopped', 'broken-off')", name="outcome"),
    CheckConstraint("(ended_at IS NULL) = (outcome IS NULL) AND (ended_at IS NULL) = (lease_until IS NOT NULL)", name="end"),
    # schedule_runs.history of one schedule
    Index("ix_runs_schedule", "tenant", "schedule", "number"),
    # schedule_runs.running, break_off
    Index("ix_runs_open", "tenant", "number", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
)

# The newest run's number of each tenant; its row lock puts those who start, change or remove in a line.
run_heads = Table(
    "run_heads",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("number", Integer, nullable=False),
)

# Types of a hospital to pull soon, because it said that something changed. One row however often it said so.
wanted_pulls = Table(
    "wanted_pulls",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("hospital", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("next_at", UTCDateTime, nullable=False),
    Index("ix_wanted_pulls_next", "next_at"),
)
