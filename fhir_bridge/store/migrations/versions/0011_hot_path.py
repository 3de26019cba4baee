"""Fewer pages written for a record that comes in: two indexes that nothing but a test read."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.drop_index("ix_records_recent", "records")
    op.drop_index("ix_audit_subject", "audit")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
