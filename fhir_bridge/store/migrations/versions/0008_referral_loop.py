"""Whose patient a referral is, where its answers go, and what must still be fetched at its sender."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _patients()
    _matches()
    _senders()
    _fetches()


def downgrade() -> None:
    raise NotImplementedError("what was decided about patients is never thrown away; restore a backup instead")


def _patients() -> None:
    op.create_table(
        "patients",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("birth_date", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "patient", name=op.f("pk_patients")),
    )
    op.create_index("ix_patients_alike", "patients", ["tenant", "birth_date", "family"])
    op.create_table(
        "patient_numbers",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "system", "value", "patient", name=op.f("pk_patient_numbers")),
    )
    op.create_table(
        "patients_read",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_patients_read")),
    )


def _matches() -> None:
    op.create_table(
        "matches",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("referral", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.CheckConstraint("verdict IN ('open', 'joined', 'new')", name=op.f("ck_matches_verdict")),
        sa.PrimaryKeyConstraint("tenant", "referral", name=op.f("pk_matches")),
    )
    only = sa.text("verdict = 'open'")
    op.create_index("ix_matches_open", "matches", ["tenant", "asked_at"], sqlite_where=only, postgresql_where=only)


def _senders() -> None:
    op.create_table(
        "senders",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=True),
        sa.Column("messages_to", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "client", name=op.f("pk_senders")),
    )


def _fetches() -> None:
    op.create_table(
        "fetches",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("base", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("referral", sa.String(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'fetched', 'failed')", name=op.f("ck_fetches_state")),
        sa.CheckConstraint("(state = 'waiting') = (next_at IS NOT NULL)", name=op.f("ck_fetches_waits")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_fetches")),
    )
    only = sa.text("state = 'waiting'")
    op.create_index("ix_fetches_due", "fetches", ["tenant", "next_at"], sqlite_where=only, postgresql_where=only)
