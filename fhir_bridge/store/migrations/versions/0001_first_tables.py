"""The first tables.

Written out, not taken from `tables`: a migration is what was true on its day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _records()
    _hospitals()
    _lanes()
    _deliveries()
    _attempts()
    _links()
    _audit()
    _audit_only_grows()
    _clients()


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first tables; restore a backup instead")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _records() -> None:
    op.create_table(
        "inbox",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("answered_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "client", "key", name=op.f("pk_inbox")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "records",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("stored_at", _time(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_records_version")),
        sa.PrimaryKeyConstraint("tenant", "kind", "id", "version", name=op.f("pk_records")),
    )
    op.create_index("ix_records_patient", "records", ["tenant", "patient", "kind", "id"], unique=False)
    op.create_index("ix_records_recent", "records", ["tenant", "kind", "stored_at"], unique=False)


def _hospitals() -> None:
    op.create_table(
        "hospitals",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("recent", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("opened_at", _time(), nullable=True),
        sa.Column("retry_at", _time(), nullable=True),
        sa.Column("why_open", sa.String(), nullable=True),
        sa.Column("probe_lane", sa.String(), nullable=True),
        sa.Column("probe_until", _time(), nullable=True),
        sa.Column("paused_at", _time(), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("paused_why", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(opened_at IS NULL) = (retry_at IS NULL) AND (opened_at IS NULL) = (why_open IS NULL)", name=op.f("ck_hospitals_breaker")
        ),
        sa.CheckConstraint(
            "(paused_at IS NULL) = (paused_by IS NULL) AND (paused_at IS NULL) = (paused_why IS NULL)", name=op.f("ck_hospitals_pause")
        ),
        sa.CheckConstraint("(probe_lane IS NULL) = (probe_until IS NULL)", name=op.f("ck_hospitals_probe")),
        sa.CheckConstraint("probe_lane IS NULL OR opened_at IS NOT NULL", name=op.f("ck_hospitals_probe_when_open")),
        sa.PrimaryKeyConstraint("tenant", "hospital", name=op.f("pk_hospitals")),
    )
    op.create_table(
        "statements",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("fetched_at", _time(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("changed_at", _time(), nullable=True),
        sa.CheckConstraint("(previous IS NULL) = (changed_at IS NULL)", name=op.f("ck_statements_previous")),
        sa.PrimaryKeyConstraint("tenant", "hospital", name=op.f("pk_statements")),
    )


def _lanes() -> None:
    op.create_table(
        "lanes",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("next_seq", sa.Integer(), nullable=False),
        sa.Column("due_at", _time(), nullable=True),
        sa.Column("token", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", _time(), nullable=True),
        sa.Column("lease_worker", sa.String(), nullable=True),
        sa.CheckConstraint(
            "(lease_until IS NULL) = (lease_worker IS NULL) AND (lease_until IS NULL OR token > 0)", name=op.f("ck_lanes_whole_lease")
        ),
        sa.CheckConstraint("next_seq >= 1", name=op.f("ck_lanes_next_seq")),
        sa.ForeignKeyConstraint(["tenant", "hospital"], ["hospitals.tenant", "hospitals.hospital"], name=op.f("fk_lanes_hospitals")),
        sa.PrimaryKeyConstraint("tenant", "hospital", "lane", name=op.f("pk_lanes")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_lanes_due",
        "lanes",
        ["tenant", "hospital", "due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("worker_deaths", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("changed_at", _time(), nullable=False),
        sa.Column("next_at", _time(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("closed_at", _time(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('delivered', 'discarded', 'superseded')) = (closed_at IS NOT NULL)", name=op.f("ck_deliveries_closed")
        ),
        sa.CheckConstraint("next_at IS NULL OR state IN ('retry_wait', 'ambiguous')", name=op.f("ck_deliveries_only_waits_have_an_end")),
        sa.CheckConstraint("state <> 'discarded' OR decided_by IS NOT NULL", name=op.f("ck_deliveries_discarded_by")),
        sa.CheckConstraint("state <> 'retry_wait' OR next_at IS NOT NULL", name=op.f("ck_deliveries_wait_has_an_end")),
        sa.CheckConstraint(
            "state IN ('pending', 'sending', 'ambiguous', 'retry_wait', 'delivered', 'dead', 'discarded', 'superseded')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.CheckConstraint("state NOT IN ('dead', 'discarded') OR reason IS NOT NULL", name=op.f("ck_deliveries_reason")),
        sa.ForeignKeyConstraint(
            ["tenant", "hospital", "lane"], ["lanes.tenant", "lanes.hospital", "lanes.lane"], name=op.f("fk_deliveries_lanes")
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "kind", "record_id", "version"],
            ["records.tenant", "records.kind", "records.id", "records.version"],
            name=op.f("fk_deliveries_records"),
        ),
        sa.PrimaryKeyConstraint("tenant", "hospital", "lane", "seq", name=op.f("pk_deliveries")),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["tenant", "hospital", "lane", "seq"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_deliveries_record", "deliveries", ["tenant", "kind", "record_id", "hospital", "version"], unique=False)


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("ended_at", _time(), nullable=True),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name=op.f("ck_attempts_outcome")),
        sa.ForeignKeyConstraint(
            ["tenant", "hospital", "lane", "seq"],
            ["deliveries.tenant", "deliveries.hospital", "deliveries.lane", "deliveries.seq"],
            name=op.f("fk_attempts_deliveries"),
        ),
        sa.PrimaryKeyConstraint("tenant", "hospital", "lane", "seq", "number", name=op.f("pk_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_attempts_open",
        "attempts",
        ["tenant", "hospital", "lane", "seq"],
        unique=True,
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )


def _links() -> None:
    op.create_table(
        "links",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.Column("theirs", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("sent", sa.Text(), nullable=True),
        sa.Column("seen", sa.Text(), nullable=True),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("updated_at", _time(), nullable=False),
        sa.CheckConstraint("theirs IS NOT NULL OR (version IS NULL AND etag IS NULL AND seen IS NULL)", name=op.f("ck_links_theirs")),
        sa.PrimaryKeyConstraint("tenant", "hospital", "ours", name=op.f("pk_links")),
    )
    op.create_index("ix_links_theirs", "links", ["tenant", "hospital", "theirs"], unique=False)
    op.create_table(
        "link_records",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("hospital", sa.String(), nullable=False),
        sa.Column("ours", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "hospital", "ours"], ["links.tenant", "links.hospital", "links.ours"], name=op.f("fk_link_records_links")
        ),
        sa.PrimaryKeyConstraint("tenant", "kind", "record_id", "hospital", "ours", name=op.f("pk_link_records")),
        sqlite_with_rowid=False,
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("seal", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject", "audit", ["tenant", "subject", "seq"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("seal", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
    )


def _clients() -> None:
    op.create_table(
        "clients",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key_sha256", sa.String(), nullable=False),
        sa.Column("created_at", _time(), nullable=False),
        sa.Column("revoked_at", _time(), nullable=True),
        sa.CheckConstraint("kind IN ('clinic', 'hospital', 'admin')", name=op.f("ck_clients_kind")),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_clients")),
    )
    op.create_index("uq_clients_key", "clients", ["key_sha256"], unique=True)


def _audit_only_grows() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'audit rows are never changed or deleted'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit rows are never changed or deleted'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()"
    )
