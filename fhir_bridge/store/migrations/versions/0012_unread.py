"""Referrals that were stored and answered, and are not read yet."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    told = ("tenant", "referral", "client", "message", "base")
    op.create_table(
        "referrals_unread",
        *(sa.Column(name, sa.String(), nullable=False) for name in told),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "referral", name=op.f("pk_referrals_unread")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
