"""The database: one `Store`, short transactions, and a refusal to start where an acknowledged commit could be lost.

Every transaction that may write takes its place at once (`BEGIN IMMEDIATE` on SQLite), so it can never fail half way for want
of a lock; reading ones cannot write. Database errors leave here as `StoreError` without the values that caused them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable, Table, create_engine, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from fhir_bridge import clock
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store import job_tables, migrating, on_postgresql, on_sqlite
from fhir_bridge.store.prepared import Prepared, Result
from fhir_bridge.store.together import Together
from fhir_bridge.store.turn import Turn

T = TypeVar("T")
Statement = Executable | Prepared

POOL_SECONDS = 2  # a web worker that cannot have a connection by then answers 503


class StoreError(BridgeError):
    """The database refused; says which rule, never which value."""


class Unavailable(StoreError):
    """The database cannot be reached, is busy, or broke the transaction off; nothing is known to be stored. Repeat it later."""


class Transaction:
    """One open transaction. Everything done with it is committed together at the end of the `with` block, or not at all."""

    __slots__ = ("_clock", "connection")

    def __init__(self, connection: Connection, clock: Callable[[], datetime] | None = None) -> None:
        self.connection = connection
        self._clock = clock

    @property
    def now(self) -> datetime:
        """The database's clock, aware, in UTC: the one clock all workers share. SQLite's is the machine's."""
        if self._clock:
            return self._clock()
        if self.on_postgresql:
            found: datetime = self.connection.execute(select(func.clock_timestamp())).scalar_one()
            return found.astimezone(UTC)
        return clock.utc_now()

    @property
    def on_postgresql(self) -> bool:
        return self.connection.dialect.name == "postgresql"

    @property
    def driver(self) -> Any:
        """The driver's own connection (psycopg or sqlite3), for a library that must write within this transaction."""
        return self.connection.connection.driver_connection

    @contextmanager
    def part(self) -> Iterator[None]:
        """What is done within is undone when an exception leaves, and the transaction can go on. Raises `Unavailable` or `StoreError`."""
        with _translated(), self.connection.begin_nested():
            yield

    def execute(self, statement: Executable, /, **values: Any) -> CursorResult[*tuple[Any, ...]]:
        """Runs `statement`; `values` are those of its bound parameters, and the columns an INSERT or UPDATE leaves open."""
        return self.connection.execute(statement, values or None)

    def run(self, prepared: Prepared, /, **values: Any) -> Result:
        """What `execute` does, for what is run for every record. All reading below takes either."""
        return prepared.execute(self.connection, values)

    def rows(self, statement: Statement, /, **values: Any) -> list[Any]:
        """All rows; their columns have names unless the statement is prepared."""
        if isinstance(statement, Prepared):
            return self.run(statement, **values).rows
        return list(self.execute(statement, **values).all())

    def first(self, statement: Statement, /, **values: Any) -> Any:
        """The first row, None when there is none."""
        if isinstance(statement, Prepared):
            return next(iter(self.run(statement, **values).rows), None)
        return self.execute(statement, **values).first()

    def one(self, kind: Callable[..., T], statement: Statement, /, **values: Any) -> T | None:
        """The first row as a `kind`, its columns in the order of the fields."""
        row = self.first(statement, **values)
        return None if row is None else kind(*row)

    def every(self, kind: Callable[..., T], statement: Statement, /, **values: Any) -> list[T]:
        """Each row as a `kind`."""
        return [kind(*row) for row in self.rows(statement, **values)]

    def insert_or_ignore(self, table: Table, **values: Any) -> bool:
        """Inserts a row unless its key exists; True if it was inserted. Waits for another transaction about to insert the same."""
        return self.run(_insert_or_ignore(table, self.on_postgresql, tuple(values)), **values).rowcount == 1

    def insert_or_ignore_all(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts those of `rows` (the same columns in each) whose key does not exist."""
        if rows:
            _insert_or_ignore(table, self.on_postgresql, tuple(rows[0])).execute_all(self.connection, rows)

    def upsert_all(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Inserts `rows` (the same columns in each), each over the row with the same key if there is one."""
        if rows:
            _upsert(table, self.on_postgresql, tuple(rows[0])).execute_all(self.connection, rows)

    def upsert(self, table: Table, **values: Any) -> None:
        """Inserts a row, or overwrites the named columns of the row with the same key."""
        self.upsert_all(table, [values])


@cache
def _insert_or_ignore(table: Table, on_postgresql: bool, _columns: tuple[str, ...]) -> Prepared:
    return Prepared(_insert(table, on_postgresql).on_conflict_do_nothing())


@cache
def _upsert(table: Table, on_postgresql: bool, columns: tuple[str, ...]) -> Prepared:
    insert, key = _insert(table, on_postgresql), [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in columns if name not in key}
    return Prepared(insert.on_conflict_do_update(index_elements=key, set_=changed))


def _insert(table: Table, on_postgresql: bool) -> "postgresql.Insert | sqlite.Insert":
    return (postgresql.insert if on_postgresql else sqlite.insert)(table)


class Store:
    """A database by URL: `sqlite:////var/lib/bridge.db` or `postgresql://user@host/name` (psycopg 3).

    Raises `Refused` when the address is of no use, and, at the first connection, when the database could lose an acknowledged
    commit. `allow_unsafe` lets a PostgreSQL without fsync pass, for tests. `clock` replaces the database's clock in rehearsals.
    """

    def __init__(self, url: str, *, allow_unsafe: bool = False, clock: Callable[[], datetime] | None = None) -> None:
        self._engine, self._reading = _engines(url, allow_unsafe=allow_unsafe)
        self._clock = clock
        file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        self._turn = Turn(file).taken if file else nullcontext
        self._together = Together(self.transaction) if file else None

    def together(self, work: Callable[[Transaction], T]) -> T:
        """What `work` returns, committed; on SQLite perhaps in one commit with what other threads write at the same moment.

        It must not open a transaction of its own. Raises what it raises, `Unavailable` or `StoreError`; then nothing of it is stored.
        """
        if self._together:
            found: T = self._together.run(work)
            return found
        with self.transaction() as tx:
            return work(tx)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commits at the end of the block, rolls back on any exception. Raises `Unavailable` or `StoreError`."""
        with _translated(), self._turn(), self._engine.begin() as connection:
            yield Transaction(connection, self._clock)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that cannot write. Raises `Unavailable` or `StoreError`."""
        with _translated(), self._reading.begin() as connection:
            yield Transaction(connection, self._clock)

    def upgrade(self) -> None:
        """Brings the tables to this version's; harmless when they are, and when another process does the same."""
        with _translated(), self._engine.begin() as connection:
            migrating.upgrade(connection)
            if connection.dialect.name == "postgresql":
                job_tables.upgrade(connection)

    def revision(self) -> tuple[str | None, str]:
        """(the revision the tables are at, or None for an empty database; the one this version needs)."""
        with self.reading() as tx:
            return migrating.current(tx.connection), migrating.head()

    def check(self) -> list[Fault]:
        """What keeps this database from being used: unreachable, unsafe, tables of another version. Empty when nothing does."""
        try:
            current, head = self.revision()
        except Refused as refused:
            return list(refused.faults)
        except StoreError as error:
            return [Fault("database", str(error))]
        if current != head:
            said = f"its tables are at revision {current or 'none'}, this version needs {head}: run `fhir-bridge db upgrade`"
            return [Fault("database", said)]
        with self.reading() as tx:
            found = job_tables.fault(tx.connection) if tx.on_postgresql else None
        return [found] if found else []

    def close(self) -> None:
        self._engine.dispose()
        self._reading.dispose()


def _engines(url: str, *, allow_unsafe: bool) -> tuple[Engine, Engine]:
    """(the one that writes, the one that cannot)."""
    try:
        address = make_url(url)
    except Exception:
        raise Refused([Fault("database", "the address is not one; say sqlite:////path/to/file or postgresql://user@host/name")]) from None
    # hide_parameters: a failing statement must not print what it was given
    options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": POOL_SECONDS, "pool_size": 5, "max_overflow": 15}
    match address.get_backend_name():
        case "sqlite":
            on_sqlite.require_file(address)
            engines = create_engine(address, **options), create_engine(address, **options)
            for engine, reading in zip(engines, (False, True), strict=True):
                on_sqlite.prepare(engine, reading=reading)
            return engines
        case "postgresql":
            engine = create_engine(address, **options, pool_pre_ping=True, isolation_level="READ COMMITTED")
            on_postgresql.prepare(engine, allow_unsafe=allow_unsafe)
            return engine, engine.execution_options(postgresql_readonly=True)
        case other:
            raise Refused([Fault("database", f"{other} is not supported; use sqlite or postgresql")])


@contextmanager
def _translated() -> Iterator[None]:
    # `from None`: the driver's own message may quote the row
    try:
        yield
    except PoolTimeout:
        raise Unavailable("every connection is in use; try again") from None
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(_rule(error)) from None
    except DBAPIError as error:
        raise StoreError(_rule(error)) from None


def _rule(error: DBAPIError) -> str:
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return f"{diagnosis.message_primary or type(error.orig).__name__} [{diagnosis.sqlstate or 'no connection'}]"
    return str(error.orig)
