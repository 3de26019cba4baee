"""Where each pull stands, and what it has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _pulls()
    _pulled()


def downgrade() -> None:
    raise NotImplementedError("what was seen at the hospitals is never thrown away; restore a backup instead")


def _pulls() -> None:
    op.create_table(
        "pulls",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("token", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_holder", sa.String(), nullable=True),
        sa.Column("watermark", sa.DateTime(timezone=True), nullable=True),
        sa.Column("crawl", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_page", sa.String(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("server_clock", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_why", sa.String(), nullable=True),
        sa.CheckConstraint("(lease_until IS NULL) = (lease_holder IS NULL)", name=op.f("ck_pulls_whole_lease")),
        sa.CheckConstraint("(frozen_at IS NULL) = (frozen_why IS NULL)", name=op.f("ck_pulls_frozen")),
        sa.PrimaryKeyConstraint("tenant", "hospital", "type", name=op.f("pk_pulls")),
    )


def _pulled() -> None:
    op.create_table(
        "pulled",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("last_updated", sa.DateTime(timezone=True), nullable=True),
        sa.Column("crawl", sa.Integer(), nullable=False),
        sa.Column("missing", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "hospital", "type", "id", name=op.f("pk_pulled")),
    )
    op.create_index("ix_pulled_window", "pulled", ["tenant", "hospital", "type", "last_updated"])
