"""Column types that both databases read back as they were given."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

_UTC = "+00:00"


class _Spelt(sqlite.DATETIME):
    """A time as SQLite keeps it, the text itself: SQLAlchemy's own way from and to it takes three times as long."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC to the microsecond; SQLite alone would forget the zone. A naive time is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        spelt = _Spelt() if dialect.name == "sqlite" else DateTime(timezone=True)  # type: ignore[no-untyped-call]  # sqlite.DATETIME's
        return dialect.type_descriptor(spelt)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the store takes aware times only")
        value = value.astimezone(UTC)
        return value.isoformat(" ", "microseconds").removesuffix(_UTC) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        found: datetime = datetime.fromisoformat(value + _UTC) if dialect.name == "sqlite" else value.astimezone(UTC)
        return found


class Document(TypeDecorator[bytes]):
    """JSON as the very bytes that `documents.dumps` or `canonical` gave: text, not `jsonb`, so digits and key order survive."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.encode()
