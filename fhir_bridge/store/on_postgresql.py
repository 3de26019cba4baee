"""PostgreSQL so that a commit survives a crash: looked at on every connection, since `synchronous_commit` may be set per role."""

from typing import Any

from sqlalchemy import Engine, event

from fhir_bridge.errors import Fault, Refused

_LOSES = {"fsync": {"off"}, "full_page_writes": {"off"}, "synchronous_commit": {"off"}}
# A worker that hangs in a transaction must not hold everybody's rows; the same patience with locks as on SQLite.
SESSION = {"idle_in_transaction_session_timeout": "30s", "lock_timeout": "30s", "timezone": "UTC"}


def prepare(engine: Engine, *, allow_unsafe: bool) -> None:
    """Every connection of `engine` gets the session's limits, and is refused if the server could lose a commit."""

    def connect(connection: Any, _record: object) -> None:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for name, value in SESSION.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
            cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_LOSES),))
            found = dict(cursor.fetchall())
        connection.autocommit = False
        if not allow_unsafe and (faults := unsafe(found)):
            raise Refused(faults)

    event.listen(engine, "connect", connect)


def unsafe(settings: dict[str, str]) -> list[Fault]:
    """The settings with which PostgreSQL acknowledges commits that a crash may undo."""
    return [
        Fault(f"database.{name}", f"is {settings[name]}: an acknowledged record could be lost; turn it on")
        for name, losing in _LOSES.items()
        if settings.get(name) in losing
    ]
