"""Referral messages whose bytes are stored before they are read."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    asked = ("tenant", "message", "client", "base", "update", "if_none_exist")
    op.create_table(
        "referrals_arriving",
        *(sa.Column(name, sa.String(), nullable=False) for name in asked),
        sa.Column("if_match", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "message", name=op.f("pk_referrals_arriving")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
