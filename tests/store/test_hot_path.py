"""What is finished costs nothing: what a worker asks is answered from indexes, the open deliveries' from one that holds only those."""

from collections.abc import Iterator
from contextlib import contextmanager

from store_rows import NOON, enqueue, lease

from fhir_bridge.store import conflicts, dead_letters, links, outbox, pulls
from fhir_bridge.store.database import Store
from fhir_bridge.store.pulls import Pull

ASKED = ("SELECT", "UPDATE", "INSERT")


@contextmanager
def noted(store: Store) -> Iterator[list[str]]:
    """Every statement that looks something up and reaches the driver within the block, with its values."""
    seen: list[str] = []
    for opened in (store.reading, store.transaction):
        with opened() as tx:  # one thread has one connection for each
            tx.driver.set_trace_callback(lambda statement: seen.append(statement) if statement.startswith(ASKED) else None)
    yield seen
    for opened in (store.reading, store.transaction):
        with opened() as tx:
            tx.driver.set_trace_callback(None)


def steps(store: Store, sent: list[str]) -> list[str]:
    """SQLite's plan of each statement, a step each; its planner goes by the indexes alone, however few the rows."""
    with store.reading() as tx:
        plans = [tx.driver.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in sent]
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


def test_what_a_page_of_a_pull_shows_is_found_name_by_name(sqlite_url: str) -> None:
    store, names = Store(sqlite_url), ["Task/1", "Task/2"]
    with noted(store) as sent, store.transaction() as tx:
        pulls.known(tx, Pull("clinic", "general", "Task"), names)
        links.last_shown(tx, "clinic", "general", names)
        links.of_theirs(tx, "clinic", "general", names)
        links.of_ours(tx, "clinic", "general", names)
        conflicts.holding(tx, "clinic", "general", names)
        links.saw(tx, "clinic", "general", [("Task/ours", "2", "", b"{}")])
    found = [step for step in steps(store, sent) if "json_each" not in step and "SUBQUERY" not in step]
    store.close()
    assert len(found) == 7, found
    assert all("SEARCH" in step and ("theirs=?" in step or "ours=?" in step or "id=?" in step) for step in found), found
