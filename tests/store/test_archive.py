"""The archive: what is finished moves, what is open stays, and the history is told as before."""

from datetime import timedelta

import pytest
from store_rows import NOON, Clock, begin, enqueue, lease, states

from fhir_bridge.store import archive, outbox
from fhir_bridge.store.database import Store
from fhir_bridge.store.tables import archived_attempts, archived_deliveries, attempts, deliveries

LATER = NOON + timedelta(days=1)


def count(store: Store, table: object) -> int:
    with store.reading() as tx:
        return len(tx.rows(table.select()))  # type: ignore[attr-defined]


def deliver(store: Store, id: str, *, lane: str) -> None:
    with store.transaction() as tx:
        added = enqueue(tx, id, lane=lane)
    held = lease(store)
    with store.transaction() as tx:
        attempt = begin(tx, held, added)
    assert attempt is not None
    with store.transaction() as tx:
        outbox.finish_attempt(tx, held, attempt, "200")
        outbox.settle(tx, held, added, state="delivered")
        outbox.release(tx, held)


def put_away(store: Store, *, at_once: int = 200) -> int:
    moved, place = 0, archive.FIRST
    while place is not None:
        with store.transaction() as tx:
            some, place = archive.move(tx, "clinic", before=LATER, after=place, lanes_at_once=at_once)
        moved += some
    return moved


@pytest.mark.parametrize("at_once", [1, 2, 200])
def test_the_history_of_a_record_is_the_same_afterwards(timed: Store, at_once: int) -> None:
    for number in range(5):
        deliver(timed, f"S-{number}", lane=f"P-{number % 3}")
    with timed.reading() as tx:
        before = [outbox.of_record(tx, "clinic", "session", f"S-{number}") for number in range(5)]
        calls = [outbox.attempts_of(tx, one) for [one] in before]
    assert put_away(timed, at_once=at_once) == 5
    assert (count(timed, deliveries), count(timed, attempts)) == (0, 0)
    assert (count(timed, archived_deliveries), count(timed, archived_attempts)) == (5, 5)
    with timed.reading() as tx:
        assert [outbox.of_record(tx, "clinic", "session", f"S-{number}") for number in range(5)] == before
        assert [outbox.attempts_of(tx, one) for [one] in before] == calls


def test_what_is_open_or_finished_lately_stays(timed: Store, clock: Clock) -> None:
    deliver(timed, "S-1", lane="P-1")
    clock.now = LATER
    deliver(timed, "S-2", lane="P-1")
    with timed.transaction() as tx:
        enqueue(tx, "S-3", lane="P-1")
        enqueue(tx, "S-4", lane="P-2")
    held = lease(timed)
    with timed.transaction() as tx:
        sent = outbox.next_delivery(tx, held, tx.now)
        assert sent is not None
        assert begin(tx, held, sent) is not None
    assert put_away(timed) == 1
    assert count(timed, deliveries) == 3
    assert count(timed, attempts) == 2  # of the one finished lately, and of the one on its way
    assert put_away(timed) == 0


def test_another_tenants_stay(timed: Store) -> None:
    deliver(timed, "S-1", lane="P-1")
    with timed.transaction() as tx:
        assert archive.tenants(tx) == ["clinic"]
        assert archive.move(tx, "other", before=LATER, after=archive.FIRST) == (0, None)
    assert count(timed, deliveries) == 1


def test_an_older_version_is_late_though_the_newer_one_is_in_the_archive(timed: Store) -> None:
    with timed.transaction() as tx:
        newer = enqueue(tx, version=2)
    held = lease(timed)
    with timed.transaction() as tx:
        outbox.settle(tx, held, newer, state="delivered")
        outbox.release(tx, held)
    assert put_away(timed) == 1
    with timed.transaction() as tx:
        assert enqueue(tx, version=1).state == "superseded"
    assert states(timed) == [(1, "superseded"), (2, "delivered")]


def test_the_lane_goes_on_where_it_was(timed: Store) -> None:
    deliver(timed, "S-1", lane="P-1")
    put_away(timed)
    deliver(timed, "S-2", lane="P-1")
    with timed.reading() as tx:
        [second] = outbox.of_record(tx, "clinic", "session", "S-2")
    assert second.seq == 2
    assert put_away(timed) == 1

    assert count(timed, archived_deliveries) == 2


def test_what_was_delivered_in_part_stays_until_the_rest_has_gone(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        outbox.settle(tx, held, added, state="delivered", reason="part of it waits")
        outbox.release(tx, held)
    assert put_away(timed) == 0
    assert count(timed, deliveries) == 1
