"""SQLite so that a commit survives a power cut: rollback journal, `synchronous=EXTRA`, and both read back on every connection.

Not WAL: SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write and checkpoint at once
(https://www.sqlite.org/wal.html#walresetbug), and Debian 12 ships 3.40. EXTRA also syncs the folder after the journal is deleted
(https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import os
import sqlite3
from typing import Any

from sqlalchemy import URL, Engine, event

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store.prepared import told

PRAGMAS = {"journal_mode": "delete", "synchronous": 3, "foreign_keys": 1, "busy_timeout": 30_000}
_OLDEST = (3, 38, 0)  # RETURNING (3.35), and json_each in every build of it


def require_file(url: URL) -> None:
    """Makes the file, readable by its owner only: it holds patients. Raises `Refused` for a database in memory or a missing folder."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise Refused([Fault("database", f"SQLite {sqlite3.sqlite_version} is too old; 3.38 or newer is needed")])
    if not url.database or url.database == ":memory:" or "mode" in url.query:
        raise Refused([Fault("database", "name a file (sqlite:////path/to/file): memory forgets what was acknowledged")])
    try:
        os.close(os.open(url.database, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise Refused([Fault("database", f"its file cannot be opened: {error.strerror}")]) from None


def prepare(engine: Engine, *, reading: bool) -> None:
    """Every connection of `engine` gets the pragmas; one for `reading` cannot write, any other has its turn from the beginning.

    A connection is one or the other for good: changing `query_only` makes SQLite compile all its statements again.
    """
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
    event.listen(engine, "connect", _connect)
    if reading:
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA query_only = 1").close())
    event.listen(engine, "begin", lambda connection: told(connection, begin))


def _connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # sqlite3 would begin transactions its own, later way
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}").close()
    taken = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS}
    if faults := [
        Fault(f"database.{name}", f"is {taken[name]}, must be {value}") for name, value in PRAGMAS.items() if taken[name] != value
    ]:
        raise Refused(faults)
