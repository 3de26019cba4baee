"""A page of 100 of the changes feed, with a million changes in the audit trail and with a thousand, on both databases.

The pages are at the beginning, in the middle and at the end in turn; every tenth row is no change. The rows are made by the database
itself and not sealed: the feed reads no seals.
"""

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from sqlalchemy import create_engine

from fhir_bridge.store.database import Store
from fhir_bridge.sync import changes

from .bridges import folder
from .measure import NotMeasured, Row, ratio

MANY, FEW, PAGE = 1_000_000, 1_000, 100
FILL = """
INSERT INTO audit (tenant, seq, at, actor, action, subject, detail, previous, seal)
  {numbers} SELECT 'clinic', n, {then}, 'clinic-1', CASE WHEN n - n / 10 * 10 = 0 THEN 'archive' ELSE 'accept' END,
  'session/S-' || n, '{{"version":1}}', 'a seal of sixty-four characters', 'a seal of sixty-four characters' FROM numbers;
INSERT INTO audit_heads (tenant, seq, seal) VALUES ('clinic', {rows}, 'a seal');
"""


def _ratio() -> float:
    return max(_on_sqlite(), _on_postgresql())


def _on_sqlite() -> float:
    with folder() as place:
        stores = [_filled_file(place / str(rows), rows) for rows in (MANY, FEW)]
        found = _compared(*stores)
        for store in stores:
            store.close()
        return found


def _filled_file(path: Path, rows: int) -> Store:
    store = Store(f"sqlite:///{path}")
    store.upgrade()
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})"  # noqa: S608 - ours
    connection = sqlite3.connect(path, isolation_level=None)
    sql = FILL.format(numbers=numbers, then="'2026-01-01 00:00:00.000000'", rows=rows)
    connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN; {sql} ANALYZE; COMMIT;")
    connection.close()
    return store


def _on_postgresql() -> float:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from databases import MISSING, _administer, _cluster, _programs

    if not _programs():
        raise NotMeasured(MISSING)
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with _cluster(place) as address:
            stores = []
            for rows in (MANY, FEW):
                _administer(f"{address}/postgres", f"CREATE DATABASE bench_{rows}")
                stores.append(_filled_database(f"{address}/bench_{rows}", rows))
                _administer(f"{address}/bench_{rows}", "VACUUM ANALYZE", "CHECKPOINT")
            found = _compared(*stores)
            for store in stores:
                store.close()
            return found
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _filled_database(url: str, rows: int) -> Store:
    store = Store(url, allow_unsafe=True)
    store.upgrade()
    sql = FILL.format(
        numbers=f"WITH numbers AS (SELECT generate_series(1, {rows}) AS n)", then="timestamptz '2026-01-01 00:00:00Z'", rows=rows
    )
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in filter(str.strip, sql.split(";\n")):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return store


def _compared(many: Store, few: Store) -> float:
    return ratio(_pages(many, MANY), _pages(few, FEW), seconds=0.05)


def _pages(store: Store, rows: int) -> Callable[[], None]:
    places: Iterator[int] = cycle([0, rows // 2, rows - PAGE * 10 // 9 - 1])

    def work() -> None:
        with store.reading() as tx:
            page = changes.read(tx, "clinic", after=next(places), limit=PAGE)
        assert len(page["changes"]) == PAGE

    return work


ROW = Row("a page of the changes feed at 1 000 000 changes ÷ at 1 000, the worse of SQLite and PostgreSQL", 1.2, "lower", _ratio)
