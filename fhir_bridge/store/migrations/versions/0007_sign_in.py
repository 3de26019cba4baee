"""How a client signs in: its keys, its public keys, its tokens, the proofs it used."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_CLIENT = ["tenant", "client"]


def upgrade() -> None:
    _keys()
    _of_clients()
    _jwks()
    _used_proofs()
    _tokens()
    _refusals()


def downgrade() -> None:
    raise NotImplementedError("clients have other keys by now; restore a backup instead")


def _keys() -> None:
    op.create_table(
        "client_keys",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("ends_at", _time(), nullable=True),
        sa.CheckConstraint("kind IN ('key', 'hmac')", name=op.f("ck_client_keys_kind")),
        sa.ForeignKeyConstraint(_CLIENT, ["clients.tenant", "clients.id"], name=op.f("fk_client_keys_clients")),
        sa.PrimaryKeyConstraint("tenant", "client", "sha256", name=op.f("pk_client_keys")),
    )
    op.create_index("uq_client_keys_sha256", "client_keys", ["sha256"], unique=True)
    op.execute(
        "INSERT INTO client_keys (tenant, client, sha256, kind, created_at) SELECT tenant, id, key_sha256, 'key', created_at FROM clients"
    )


def _of_clients() -> None:
    op.drop_index("uq_clients_key", "clients")
    op.drop_column("clients", "key_sha256")
    op.add_column("clients", sa.Column("scopes", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("clients", sa.Column("networks", sa.Text(), server_default=sa.text("''"), nullable=False))


def _jwks() -> None:
    op.create_table(
        "client_jwks",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("jwks", sa.Text(), nullable=True),
        sa.Column("fetched_at", _time(), nullable=True),
        sa.Column("fresh_until", _time(), nullable=True),
        sa.Column("tried_at", _time(), nullable=True),
        sa.CheckConstraint("url IS NOT NULL OR jwks IS NOT NULL", name=op.f("ck_client_jwks_from_somewhere")),
        sa.CheckConstraint("(fetched_at IS NULL) = (fresh_until IS NULL)", name=op.f("ck_client_jwks_fetched")),
        sa.ForeignKeyConstraint(_CLIENT, ["clients.tenant", "clients.id"], name=op.f("fk_client_jwks_clients")),
        sa.PrimaryKeyConstraint("tenant", "client", name=op.f("pk_client_jwks")),
    )
    op.create_index("uq_client_jwks_client", "client_jwks", ["client"], unique=True)


def _used_proofs() -> None:
    op.create_table(
        "used_proofs",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("ends_at", _time(), nullable=False),
        sa.CheckConstraint("kind IN ('jti', 'hmac')", name=op.f("ck_used_proofs_kind")),
        sa.PrimaryKeyConstraint("tenant", "client", "kind", "sha256", name=op.f("pk_used_proofs")),
    )
    op.create_index("ix_used_proofs_ended", "used_proofs", ["tenant", "ends_at"])


def _tokens() -> None:
    op.create_table(
        "access_tokens",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("ends_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_access_tokens")),
    )
    op.create_index("uq_access_tokens_sha256", "access_tokens", ["sha256"], unique=True)
    op.create_index("ix_access_tokens_ended", "access_tokens", ["tenant", "ends_at"])


def _refusals() -> None:
    op.create_table(
        "refusals",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "address", name=op.f("pk_refusals")),
    )
    op.create_index("ix_refusals_since", "refusals", ["tenant", "since"])


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)
