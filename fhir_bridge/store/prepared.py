"""A statement that is run for every record: compiled once for each database and then handed to the driver as text.

SQLAlchemy takes several times as long to bring a statement to the driver as SQLite takes to run it. What it knows of the columns'
types is kept: values go in and come out as of any other statement.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, Table, bindparam
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: all its rows, and how many it changed."""

    rows: list[tuple[Any, ...]]
    rowcount: int


@dataclass(frozen=True, slots=True)
class _Compiled:
    """`order` names the parameters where the driver takes them by place; `given` are those the statement itself says."""

    text: str
    order: Sequence[str] | None
    given: Mapping[str, Any]
    binds: Mapping[str, Convert]
    columns: Sequence[Convert | None]


@dataclass(slots=True)
class Prepared:
    """`statement`, whose parameters all have a name and a type; they are bound by the names of `execute`."""

    statement: Executable
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    def execute(self, connection: Connection, values: Mapping[str, Any]) -> Result:
        """Runs within the connection's transaction; raises what SQLAlchemy would."""
        compiled = self._on(connection.dialect, values)
        found = told(connection, compiled.text, _bound(compiled, values))
        return Result([_converted(compiled.columns, row) for row in found.rows], found.rowcount)

    def execute_all(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """As `execute`, with each of `rows` (the same names in each), whose results nobody wants; at least one."""
        compiled = self._on(connection.dialect, rows[0])
        with _as_sqlalchemy(connection):
            connection.connection.cursor().executemany(compiled.text, [_bound(compiled, row) for row in rows])

    def _on(self, dialect: Dialect, values: Mapping[str, Any]) -> _Compiled:
        return self._compiled.get(dialect.name) or self._compile(dialect, values)

    def _compile(self, dialect: Dialect, values: Mapping[str, Any]) -> _Compiled:
        found = self.statement.compile(dialect=dialect, column_keys=list(values))  # type: ignore[attr-defined]
        assert isinstance(found, SQLCompiler)  # noqa: S101
        binds = {name: convert for bind, name in found.bind_names.items() if (convert := _in(bind.type, dialect))}
        given = {name: value for name, value in found.params.items() if name not in values}
        columns = [_out(column.type, dialect) for column in getattr(self.statement, "exported_columns", ())]
        kept = _Compiled(str(found), found.positiontup if found.positional else None, given, binds, columns)
        return self._compiled.setdefault(dialect.name, kept)


def narrowed(table: Table, *names: str) -> list[ColumnElement[bool]]:
    """`table` narrowed to rows whose `names` are given when the statement is run, as `this_<name>`: an UPDATE may set the same ones."""
    return [table.c[name] == bindparam(f"this_{name}") for name in names]


def told(connection: Connection, text: str, parameters: Any = ()) -> Result:
    """What the driver says to `text`; raises what SQLAlchemy would."""
    driver: Any = connection.connection.driver_connection
    with _as_sqlalchemy(connection):
        cursor = driver.execute(text, parameters)
        return Result(cursor.fetchall() if cursor.description else [], cursor.rowcount)


@contextmanager
def _as_sqlalchemy(connection: Connection) -> Iterator[None]:
    """The driver's errors within as SQLAlchemy's."""
    refusal = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except refusal as error:
        raise DBAPIError.instance(None, None, error, refusal, hide_parameters=True, dialect=connection.dialect) from None


def _bound(compiled: _Compiled, values: Mapping[str, Any]) -> Any:
    bound = {**compiled.given, **values}
    for name, convert in compiled.binds.items():
        bound[name] = convert(bound[name])
    return bound if compiled.order is None else [bound[name] for name in compiled.order]


def _in(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _out(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _converted(columns: Sequence[Convert | None], row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([value if convert is None else convert(value) for convert, value in zip(columns, row, strict=True)])
