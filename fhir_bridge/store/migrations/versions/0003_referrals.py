"""The hospital's door: what came in, and where each referral stands."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _raw()
    _referrals()


def downgrade() -> None:
    raise NotImplementedError("referrals are never thrown away; restore a backup instead")


def _raw() -> None:
    op.create_table(
        "referrals_raw",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("referral", sa.String(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_referrals_raw")),
    )
    op.create_index("ix_referrals_raw_request", "referrals_raw", ["tenant", "client", "request_id"])
    op.create_index("ix_referrals_raw_message", "referrals_raw", ["tenant", "client", "message_id"])
    op.create_index("ix_referrals_raw_referral", "referrals_raw", ["tenant", "referral", "received_at"])


def _referrals() -> None:
    op.create_table(
        "referrals",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("service_request", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_referrals")),
    )
    op.create_index("ix_referrals_recent", "referrals", ["tenant", "received_at", "id"])
    op.create_index("ix_referrals_status", "referrals", ["tenant", "status", "received_at", "id"])
    op.create_index("uq_referrals_service_request", "referrals", ["tenant", "service_request"], unique=True)
    op.create_index("uq_referrals_task", "referrals", ["tenant", "task"], unique=True)
