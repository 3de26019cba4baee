"""What the hospital's door searches by."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("referrals_raw", sa.Column("correlation_id", sa.String(), nullable=True))
    _found_by()
    _names()


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")


def _found_by() -> None:
    for column in (
        sa.Column("patient", sa.String(), nullable=True),
        sa.Column("authored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("referrals", column)
    op.execute("UPDATE referrals SET updated_at = received_at, patient = ''")
    with op.batch_alter_table("referrals") as table:
        table.alter_column("patient", existing_type=sa.String(), nullable=False)
        table.alter_column("updated_at", existing_type=sa.DateTime(timezone=True), nullable=False)
    op.create_index("ix_referrals_sender", "referrals", ["tenant", "client", "updated_at", "id"])
    op.create_index("ix_referrals_patient", "referrals", ["tenant", "client", "patient", "updated_at", "id"])


def _names() -> None:
    key = ("tenant", "client", "kind", "value", "system", "referral")
    op.create_table(
        "referral_names",
        *(sa.Column(name, sa.String(), nullable=False) for name in key),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_referral_names")),
    )
    op.create_index("ix_referral_names_referral", "referral_names", ["tenant", "referral"])
