"""The breaker, the pause and the CapabilityStatement."""

from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import text
from store_rows import HOUR, NOON, enqueue, lease, states

from fhir_bridge.store import hospitals, outbox
from fhir_bridge.store.database import Store
from fhir_bridge.store.hospitals import Hospital


def fail(store: Store, times: int = 1) -> Hospital:
    with store.transaction() as tx:
        for _ in range(times):
            seen = hospitals.failed(tx, "clinic", "north", wait=HOUR, why="unreachable", now=NOON)
    return seen


def succeed(store: Store) -> Hospital:
    with store.transaction() as tx:
        hospitals.succeeded(tx, "clinic", "north")
        return hospitals.of(tx, "clinic", "north")


def test_a_hospital_never_heard_of_is_closed(store: Store) -> None:
    with store.reading() as tx:
        assert hospitals.of(tx, "clinic", "north") == Hospital("clinic", "north")
    assert succeed(store) == Hospital("clinic", "north")
    with store.reading() as tx:
        assert hospitals.listing(tx) == []


def test_five_failures_in_a_row_open_the_breaker(store: Store) -> None:
    assert fail(store, 4).opened_at is None
    opened = fail(store)
    assert (opened.opened_at, opened.retry_at, opened.why_open) == (NOON, NOON + HOUR, "unreachable")


def test_a_success_between_begins_the_count_anew(store: Store) -> None:
    fail(store, 4)
    assert succeed(store).failures == 0
    assert fail(store, 4).opened_at is None


def test_half_of_the_last_twenty_calls_failed_opens_the_breaker(store: Store) -> None:
    for _ in range(9):
        assert fail(store).opened_at is None
        succeed(store)
    succeed(store)
    assert fail(store).opened_at == NOON


def test_a_success_closes_the_breaker_and_forgets(store: Store) -> None:
    fail(store, 5)
    assert succeed(store) == Hospital("clinic", "north")


def test_the_first_opening_is_remembered_while_it_lasts(store: Store) -> None:
    fail(store, 5)
    with store.transaction() as tx:
        later = hospitals.failed(tx, "clinic", "north", wait=HOUR, why="unreachable", now=NOON + HOUR)
    assert (later.opened_at, later.retry_at) == (NOON, NOON + 2 * HOUR)


def test_a_pause_tells_who_and_why(store: Store) -> None:
    with store.transaction() as tx:
        hospitals.pause(tx, "clinic", "north", who="ann", why="maintenance", now=NOON)
        hospitals.pause(tx, "clinic", "north", who="bob", why="other", now=NOON + HOUR)
        [paused] = hospitals.listing(tx)
        assert (paused.paused_by, paused.paused_why, paused.paused_at) == ("ann", "maintenance", NOON)
        assert hospitals.resume(tx, "clinic", "north")
        assert not hospitals.resume(tx, "clinic", "north")


@pytest.mark.parametrize("changed", [False, True])
def test_a_statement_is_kept_and_a_different_one_keeps_the_last(store: Store, changed: bool) -> None:
    first, second = b'{"software":1}', b'{"software":2}' if changed else b'{"software":1}'
    tomorrow = NOON + timedelta(days=1)
    with store.transaction() as tx:
        assert hospitals.statement(tx, "clinic", "north") is None
        hospitals.keep_statement(tx, "clinic", "north", statement=first, sha256="1", now=NOON)
        kept = hospitals.keep_statement(tx, "clinic", "north", statement=second, sha256="2" if changed else "1", now=tomorrow)
    with store.reading() as tx:
        assert hospitals.statement(tx, "clinic", "north") == kept
    assert (kept.statement, kept.fetched_at) == (second, tomorrow)
    assert (kept.previous, kept.changed_at) == ((first, tomorrow) if changed else (None, None))


def test_a_delivery_ends_while_another_worker_counts_a_failure(postgresql_url: str) -> None:
    """The lane's row, written twice, is checked against the hospital's: a lock of that which shuts out the check made deadlocks."""
    with closing(Store(postgresql_url, allow_unsafe=True)) as store:
        with store.transaction() as tx:
            delivery = enqueue(tx)
        held = lease(store)
        with store.transaction() as counting:
            hospitals.failed(counting, "clinic", "north", wait=HOUR, why="unreachable", now=NOON)
            with store.transaction() as tx:
                tx.execute(text("SET LOCAL lock_timeout = '2s'"))
                outbox.settle(tx, held, delivery, state="delivered")
                outbox.release(tx, held)
        assert states(store) == [(1, "delivered")]
