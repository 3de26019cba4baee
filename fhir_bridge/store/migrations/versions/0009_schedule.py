"""When syncs run, and what became of each run."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

WHAT = "what IN ('push', 'pull', 'both', 'reconcile', 'archive')"


def upgrade() -> None:
    _schedules()
    _runs()
    _wanted()


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")


def _schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("hospitals", sa.Text(), nullable=True),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("older_than", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("paused_why", sa.String(), nullable=True),
        sa.CheckConstraint(WHAT, name=op.f("ck_schedules_what")),
        sa.CheckConstraint("(what = 'archive') = (older_than IS NOT NULL)", name=op.f("ck_schedules_older_than")),
        sa.CheckConstraint("(next_at IS NULL) = (paused_at IS NOT NULL)", name=op.f("ck_schedules_next")),
        sa.CheckConstraint(
            "(paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (paused_why IS NULL)", name=op.f("ck_schedules_pause")
        ),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_schedules")),
    )
    op.create_index("ix_schedules_next", "schedules", ["next_at"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("schedule", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("hospitals", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("report", sa.Text(), nullable=False),
        sa.CheckConstraint(WHAT, name=op.f("ck_runs_what")),
        sa.CheckConstraint("outcome IN ('done', 'failed', 'stopped', 'broken-off')", name=op.f("ck_runs_outcome")),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (outcome IS NULL) AND (ended_at IS NULL) = (lease_until IS NOT NULL)", name=op.f("ck_runs_end")
        ),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_schedule", "runs", ["tenant", "schedule", "number"])
    still = sa.text("ended_at IS NULL")
    op.create_index("ix_runs_open", "runs", ["tenant", "number"], sqlite_where=still, postgresql_where=still)
    op.create_table(
        "run_heads",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_run_heads")),
    )


def _wanted() -> None:
    op.create_table(
        "wanted_pulls",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hospital", "type", name=op.f("pk_wanted_pulls")),
    )
    op.create_index("ix_wanted_pulls_next", "wanted_pulls", ["next_at"])
