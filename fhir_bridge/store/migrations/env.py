"""Alembic's entry: the connection is the one `migrating` opened, and its transaction."""

from alembic import context

from fhir_bridge.store import (  # noqa: F401  # each adds its own tables to the metadata
    conflict_tables,
    matching_tables,
    pull_tables,
    referral_tables,
    schedule_tables,
    sign_in_tables,
    webhook_tables,
)
from fhir_bridge.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
