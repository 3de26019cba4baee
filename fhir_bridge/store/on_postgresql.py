"""PostgreSQL so that a commit survives a crash: looked at on every connection, since `synchronous_commit` may be set per role.

A connection may be lent by a pool (PgBouncer): each transaction then meets another session of the server's. What a session
remembers is of no use there: statements are not prepared, and the session's limits must be the role's.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, event

from fhir_bridge.errors import Fault, Refused

_LOSES = {"fsync": {"off"}, "full_page_writes": {"off"}, "synchronous_commit": {"off"}}
# A worker that hangs in a transaction must not hold everybody's rows; the same patience with locks as on SQLite.
SESSION = {"idle_in_transaction_session_timeout": "30s", "lock_timeout": "30s", "timezone": "UTC"}
ROLE = "of the role, not the session, behind a pool: see deploy/postgresql-role.sql"
_ASKED = "SELECT name, current_setting(name) FROM unnest(%s::text[]) AS name"


def prepare(engine: Engine, *, allow_unsafe: bool) -> None:
    """Every connection of `engine` gets the session's limits, and is refused if the server could lose a commit."""

    def connect(connection: Any, _record: object) -> None:
        connection.autocommit = True
        with connection.cursor() as cursor:
            pooled = is_pooled(connection)
            if pooled:
                connection.prepare_threshold = None
            else:
                for name, value in SESSION.items():
                    cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
            cursor.execute(_ASKED, ([*_LOSES, *SESSION],))
            found = dict(cursor.fetchall())
        connection.autocommit = False
        if faults := [*([] if allow_unsafe else unsafe(found)), *unlimited(found)]:
            raise Refused(faults)

    event.listen(engine, "connect", connect)


def is_pooled(connection: Any) -> bool:
    """Whether a pool stands between: the session that answers is not the one the connection was made with."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return bool(pid != connection.info.backend_pid)


def unsafe(settings: Mapping[str, str]) -> list[Fault]:
    """The settings with which PostgreSQL acknowledges commits that a crash may undo."""
    return [
        Fault(f"database.{name}", f"is {settings[name]}: an acknowledged record could be lost; turn it on")
        for name, losing in _LOSES.items()
        if settings.get(name) in losing
    ]


def unlimited(settings: Mapping[str, str]) -> list[Fault]:
    """The limits a session lacks; one of our own has them, a pool's has what the role was given."""
    return [
        Fault(f"database.{name}", f"is {settings[name]} and must be {value}; it is {ROLE}")
        for name, value in SESSION.items()
        if settings[name] != value
    ]
