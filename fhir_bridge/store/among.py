"""`column IN (…)` in a statement that is built once: with all the names as one bound value, or with words that never change.

A list of parameters costs more to build than its rows cost to read, and the databases limit how many there may be.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Dialect, Text, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from fhir_bridge import documents


def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether `column` is one of the bound `names`; they are given when the statement is executed."""
    return _Among(column, bindparam("names", type_=_Names()))


def in_words(column: ColumnElement[Any], *words: str) -> ColumnElement[bool]:
    """Whether `column` is one of `words`, each a value of its own: SQLAlchemy writes a plain list out anew each time."""
    return column.in_([literal(word) for word in words])


class _Names(TypeDecorator[Sequence[str]]):
    """Several names as one value: an array, or a JSON array where the database has no other."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        names = list(value or ())
        return names if dialect.name == "postgresql" else documents.dumps(names).decode()


class _Among(FunctionElement[bool]):
    name = "among"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> "_Among":
        """As it is: spelt `… = 1`, as SQLAlchemy does for a function's truth, no index of SQLite would serve it."""
        return self


@compiles(_Among, "postgresql")
def _any(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, names = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} = ANY ({names})"


@compiles(_Among, "sqlite")
def _each(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, names = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({names}))"  # noqa: S608 - both are SQLAlchemy's
