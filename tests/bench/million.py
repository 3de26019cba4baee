"""A store whose tables hold a million delivered records already, and an empty one: what one more costs in each.

The rows are made by the databases themselves, in seconds, without keys being checked; then the tables are analysed, as autovacuum
would. The work measured is all a record needs of the store: accepted, leased, attempted, settled, released.
"""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

from sqlalchemy import create_engine, text

from fhir_bridge.store import audit, inbox, outbox, records
from fhir_bridge.store.database import Store

from .measure import ratio

ROWS, PER_LANE = 1_000_000, 50
KEY = b"bench" * 8
# {lane}, {lane_of} and {name} become expressions of the running number n
FILL = """
INSERT INTO hospitals (tenant, hospital) VALUES ('clinic', 'north');
INSERT INTO lanes (tenant, hospital, lane, next_seq, token) {few} SELECT 'clinic', 'north', {lane}, 51, 50 FROM numbers;
INSERT INTO records (tenant, kind, id, version, patient, document, sha256, stored_at)
  {all} SELECT 'clinic', 'session', {name}, 1, {lane_of}, '{{"id":"S","weight":71.50}}', {name}, {then} FROM numbers;
INSERT INTO deliveries (tenant, hospital, lane, seq, kind, record_id, version, state, attempts, created_at, changed_at, closed_at)
  {all} SELECT 'clinic', 'north', {lane_of}, 1 + n - n / 50 * 50, 'session', {name}, 1, 'delivered', 1,
  {then}, {then}, {then} FROM numbers;
INSERT INTO attempts
  (tenant, hospital, lane, seq, number, step, request_id, body_sha256, worker, token, started_at, outcome, ended_at)
  {all} SELECT 'clinic', 'north', {lane_of}, 1 + n - n / 50 * 50, 1, '1', {name}, {name}, 'w1', 1,
  {then}, '200', {then} FROM numbers;
ANALYZE;
"""


def fill_sqlite(path: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {})"
    lane, name = "printf('L-%07d', {})", "printf('S-%07d', n)"
    sql = _sql(numbers, lane, name, "'2026-01-01 00:00:00.000000'")
    connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN; {sql} COMMIT;")
    connection.close()


def fill_postgresql(url: str) -> None:
    numbers = "WITH numbers AS (SELECT generate_series(0, {} - 1) AS n)"
    sql = _sql(numbers, "'L-' || lpad(({})::text, 7, '0')", "'S-' || lpad(n::text, 7, '0')", "timestamptz '2026-01-01 00:00:00Z'")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        for statement in sql.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def _sql(numbers: str, lane: str, name: str, then: str) -> str:
    few, every = (numbers.format(rows) for rows in (ROWS // PER_LANE, ROWS))
    return FILL.format(few=few, all=every, lane=lane.format("n"), lane_of=lane.format(f"n / {PER_LANE}"), name=name, then=then)


def ratio_of(full: Store, empty: Store) -> float:
    """What one more record costs in `full` over what it costs in `empty`."""
    return ratio(_one_more(full), _one_more(empty), seconds=0.05)


def _one_more(store: Store) -> Callable[[], None]:
    numbers: Iterator[int] = count()
    now = datetime.now(UTC)

    def work() -> None:
        name = f"N-{next(numbers)}"
        with store.transaction() as tx:
            records.put(
                tx, tenant="clinic", kind="session", id=name, version=1, patient=name, document=b"{}", sha256=name, now=now,
            )  # fmt: skip
            outbox.enqueue(tx, tenant="clinic", hospital="north", lane=name, kind="session", record_id=name, version=1, now=now)
            inbox.remember(tx, tenant="clinic", client="c", key=name, body_sha256=name, status=202, response=b"{}", now=now)
            audit.write(tx, tenant="clinic", actor="c", action="accept", subject=name, detail={}, now=now, key=KEY)
        with store.transaction() as tx:
            held = outbox.lease(tx, worker="w1", seconds=180)
        assert held is not None
        assert held.lane == name
        with store.transaction() as tx:
            delivery = outbox.next_delivery(tx, held, tx.now)
            assert delivery is not None
            attempt = outbox.begin_attempt(tx, held, delivery, step="1", request_id=name, body_sha256=name)
        assert attempt is not None
        with store.transaction() as tx:
            outbox.finish_attempt(tx, held, attempt, "201")
            outbox.settle(tx, held, delivery, state="delivered")
            outbox.release(tx, held)

    return work
