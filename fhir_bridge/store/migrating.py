"""Alembic, run from inside: the migrations ship in the package and need no configuration file."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_ONE_AT_A_TIME = 4_114_200_701  # any number of our own: the advisory lock of two processes that start at once


def upgrade(connection: Connection) -> None:
    """Brings the tables to head inside the transaction of `connection`."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """The revision of the tables; None in an empty database."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision in the package."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package ships at least one migration"  # noqa: S101
    return found


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "fhir_bridge.store:migrations")
    config.set_main_option("path_separator", "os")
    return config
