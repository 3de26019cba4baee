"""What both sides say differently of a field that is not theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _conflicts()
    _words()
    _turns()


def downgrade() -> None:
    raise NotImplementedError("what people decided is never thrown away; restore a backup instead")


def _conflicts() -> None:
    op.create_table(
        "conflicts",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.Column("theirs", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("our_value", sa.Text(), nullable=True),
        sa.Column("their_value", sa.Text(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint("what IN ('field', 'deleted', 'retracted', 'merged', 'duplicate', 'frozen')", name=op.f("ck_conflicts_what")),
        sa.CheckConstraint("(what = 'field') = (path <> '')", name=op.f("ck_conflicts_path")),
        sa.CheckConstraint("state IN ('open', 'kept-ours', 'took-theirs', 'settled')", name=op.f("ck_conflicts_state")),
        sa.CheckConstraint("state NOT IN ('kept-ours', 'took-theirs') OR decided_by IS NOT NULL", name=op.f("ck_conflicts_decided")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_conflicts")),
    )
    op.create_index("ix_conflicts_state", "conflicts", ["tenant", "state", "opened_at", "id"])
    op.create_index("ix_conflicts_resource", "conflicts", ["tenant", "hospital", "ours", "state"])
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_conflicts_open",
        "conflicts",
        ["tenant", "hospital", "ours", "what", "path"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _words() -> None:
    op.create_table(
        "hospital_words",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hospital", "ours", "path", name=op.f("pk_hospital_words")),
    )


def _turns() -> None:
    op.create_table(
        "resource_turns",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("turns >= 1", name=op.f("ck_resource_turns_turns")),
        sa.PrimaryKeyConstraint("tenant", "hospital", "ours", name=op.f("pk_resource_turns")),
    )
