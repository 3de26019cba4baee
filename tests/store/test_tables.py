"""The tables: the same on both databases, made by the migrations alone, with their rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from fhir_bridge.store.database import Store
from fhir_bridge.store.tables import metadata


def test_the_migrations_make_exactly_the_tables_the_code_knows(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": _ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_migrations_make_every_check_and_every_condition_of_an_index(postgresql_url: str, tmp_path: Path) -> None:
    """Autogenerate compares neither; so a second database is made straight from the code's tables, and both tell their rules."""
    with _begun(postgresql_url) as connection:
        migrated = _rules(connection)
        connection.execute(text("CREATE SCHEMA straight"))
        connection.execute(text("SET LOCAL search_path TO straight"))
        metadata.create_all(connection)
        assert _rules(connection) == migrated


def test_sqlite_gets_the_same_checks_and_conditions(sqlite_url: str, tmp_path: Path) -> None:
    with _begun(sqlite_url) as migrated, _begun(f"sqlite:///{tmp_path / 'straight.db'}") as straight:
        metadata.create_all(straight)
        assert _sentences(migrated) == _sentences(straight)


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """Procrastinate's tables are its own; their version is held by a test of their own."""
    return kind != "table" or not str(name).startswith("procrastinate_")


@contextmanager
def _begun(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _rules(connection: Connection) -> set[str]:
    """Every constraint and index, as PostgreSQL words them."""
    constraints = text(
        "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema::regnamespace"
    )
    indexes = text("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema")
    found = [*connection.scalars(constraints), *connection.scalars(indexes)]
    return {rule.replace("straight.", "").replace("public.", "") for rule in found if "alembic" not in rule and "procrastinate" not in rule}


def _sentences(connection: Connection) -> dict[str, set[str]]:
    """The parts of the SQL that made each table and index; the order of a table's columns and rules is of no matter."""
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"))
    return {name: _parts(sql) for name, sql in found if "alembic" not in name}


def _parts(sql: str) -> set[str]:
    """SQLite keeps the text of CREATE TABLE, quotes a table that was renamed, and writes an added column behind the one before it."""
    head, _, rest = sql.replace('"', "").partition("(")
    body, _, behind = rest.rpartition(")")
    return {head.strip(), behind.strip(), *(part.strip() for part in body.split(","))}


def test_every_key_starts_with_the_tenant() -> None:
    for table in metadata.tables.values():
        assert next(iter(table.primary_key)).name == "tenant", table.name


def test_upgrading_an_upgraded_database_changes_nothing(store: Store) -> None:
    before = store.revision()
    store.upgrade()
    newest = store.revision()[1]
    assert store.revision() == before == (newest, newest)
    assert store.check() == []
