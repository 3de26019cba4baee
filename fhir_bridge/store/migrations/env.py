"""Alembic's entry: the connection is the one `migrating` opened, and its transaction."""

from alembic import context

from fhir_bridge.store.referral_tables import referrals

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=referrals.metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
