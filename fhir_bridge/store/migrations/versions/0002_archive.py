"""Tables for what was finished long ago."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "archived_deliveries",
        *_lane_and_seq(),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("worker_deaths", sa.Integer(), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("changed_at", _time(), nullable=False),
        sa.Column("next_at", _time(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("closed_at", _time(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "hospital", "lane", "seq", name=op.f("pk_archived_deliveries")),
    )
    op.create_index("ix_archived_deliveries_record", "archived_deliveries", ["tenant", "kind", "record_id", "hospital", "version"])
    op.create_table(
        "archived_attempts",
        *_lane_and_seq(),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("ended_at", _time(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "hospital", "lane", "seq", "number", name=op.f("pk_archived_attempts")),
    )


def downgrade() -> None:
    raise NotImplementedError("the archive holds what was delivered; restore a backup instead")


def _lane_and_seq() -> list[sa.Column[Any]]:
    names: list[sa.Column[Any]] = [sa.Column(name, sa.String(), nullable=False) for name in ("tenant", "hospital", "lane")]
    return [*names, sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False)]


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)
