"""Alembic, run from inside: the migrations ship in the package and need no configuration file.

It is imported where it is used: a worker or a web process starts without it, in a third less time.
"""

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from alembic.config import Config

_ONE_AT_A_TIME = 4_114_200_701  # any number of our own: the advisory lock of two processes that start at once


def upgrade(connection: Connection) -> None:
    """Brings the tables to head inside the transaction of `connection`."""
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def current(connection: Connection) -> str | None:
    """The revision of the tables; None in an empty database."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


@cache
def head() -> str:
    """The newest revision in the package."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None, "the package ships at least one migration"  # noqa: S101
    return found


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "fhir_bridge.store:migrations")
    config.set_main_option("path_separator", "os")
    return config
