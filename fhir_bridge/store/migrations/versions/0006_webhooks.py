"""Where the clinic wants to be told of changes, and what hospitals were asked to tell us of."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _webhooks()
    _messages()
    _subscriptions()


def downgrade() -> None:
    raise NotImplementedError("a receiver's place in the feed is never thrown away; restore a backup instead")


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("old_secret", sa.String(), nullable=True),
        sa.Column("old_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("token", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_worker", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why_stopped", sa.String(), nullable=True),
        sa.CheckConstraint("(old_secret IS NULL) = (old_until IS NULL)", name=op.f("ck_webhooks_old_secret")),
        sa.CheckConstraint("(lease_until IS NULL) = (lease_worker IS NULL)", name=op.f("ck_webhooks_whole_lease")),
        sa.CheckConstraint("(stopped_at IS NULL) = (why_stopped IS NULL)", name=op.f("ck_webhooks_stopped")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_webhooks")),
    )


def _messages() -> None:
    op.create_table(
        "webhook_messages",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("webhook", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(next_at IS NULL) <> (dead_at IS NULL)", name=op.f("ck_webhook_messages_waits_or_is_dead")),
        sa.ForeignKeyConstraint(["tenant", "webhook"], ["webhooks.tenant", "webhooks.id"], name=op.f("fk_webhook_messages_webhooks")),
        sa.PrimaryKeyConstraint("tenant", "webhook", "seq", name=op.f("pk_webhook_messages")),
    )
    op.create_index(
        "ix_webhook_messages_waiting",
        "webhook_messages",
        ["tenant", "webhook", "next_at"],
        sqlite_where=sa.text("next_at IS NOT NULL"),
        postgresql_where=sa.text("next_at IS NOT NULL"),
    )


def _subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("address_sha256", sa.String(), nullable=False),
        sa.Column("theirs", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notifications", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "hospital", "type", name=op.f("pk_subscriptions")),
    )
    op.create_index("uq_subscriptions_address", "subscriptions", ["address_sha256"], unique=True)
