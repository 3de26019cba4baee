"""What is finished costs nothing: what a worker asks is answered from indexes, the open deliveries' from one that holds only those."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from store_rows import NOON, enqueue, lease

from fhir_bridge.store import dead_letters, outbox
from fhir_bridge.store.database import Store

Sent = list[tuple[str, Any]]


@contextmanager
def noted(store: Store) -> Iterator[Sent]:
    """Every SELECT and UPDATE sent within the block."""
    seen: Sent = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            seen.append((statement, parameters))

    with store.reading() as tx:
        engine = tx.connection.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def steps(store: Store, sent: Sent) -> list[str]:
    """SQLite's plan of each statement, a step each; its planner goes by the indexes alone, however few the rows."""
    with store.reading() as tx:
        plans = [tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all() for statement, parameters in sent]
    return [row[3] for plan in plans for row in plan]


def test_no_question_of_a_worker_reads_a_whole_table(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.transaction() as tx:
        added = enqueue(tx)
    with noted(store) as sent:
        held = lease(store)
        with store.transaction() as tx:
            outbox.next_delivery(tx, held, NOON)
            outbox.settle(tx, held, added, state="dead", reason="refused")
            enqueue(tx, version=2)
            outbox.release(tx, held)
    found = steps(store, sent)
    store.close()
    assert len(sent) > 10
    # the hospitals are few, and all of them are looked at
    assert {step for step in found if step.startswith("SCAN")} == {"SCAN hospitals"}
    assert any("ix_lanes_due" in step for step in found)


def test_the_listings_read_only_what_is_open(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with noted(store) as sent, store.reading() as tx:
        dead_letters.waiting(tx)
        dead_letters.dead(tx, "clinic")
        dead_letters.counts(tx)
        dead_letters.blocked_lanes(tx, NOON)
    found = [step for step in steps(store, sent) if "deliveries" in step]
    store.close()
    assert len(found) >= 4
    assert all("ix_deliveries_open" in step or "autoindex" in step for step in found), found
