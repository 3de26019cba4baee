"""Leases: who may work on a lane, and what happens when a worker dies or is late."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from store_rows import HOUR, NOON, Clock, begin, enqueue, lease, states

from fhir_bridge.store import hospitals, lanes, outbox
from fhir_bridge.store.database import Store
from fhir_bridge.store.rows import Lease


def none_to_lease(store: Store) -> bool:
    with store.transaction() as tx:
        return outbox.lease(tx, worker="w9", seconds=60) is None


def test_a_lane_is_leased_once_and_again_when_given_back(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
    held = lease(timed, "w1", seconds=60)
    assert (held.lane, held.token, held.until, held.probe) == ("P-1", 1, NOON + timedelta(seconds=60), False)
    assert none_to_lease(timed)
    with timed.transaction() as tx:
        outbox.release(tx, held)
    assert lease(timed, "w2").token == 2


def test_a_lane_without_due_work_is_not_leased(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        outbox.settle(tx, held, added, state="retry_wait", next_at=NOON + HOUR)
        outbox.release(tx, held)
    assert none_to_lease(timed)
    clock.now = NOON + HOUR
    assert lease(timed).lane == "P-1"


def test_new_work_makes_a_waiting_lane_due(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        outbox.settle(tx, held, added, state="retry_wait", next_at=NOON + HOUR)
        enqueue(tx, "S-2")
        outbox.release(tx, held)
    assert lease(timed).lane == "P-1"


def test_the_lane_that_waited_longest_comes_first(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        for minute, (hospital, lane) in enumerate([("north", "P-3"), ("south", "P-1"), ("north", "P-2")]):
            enqueue(tx, f"S-{lane}", lane=lane, hospital=hospital, now=NOON + timedelta(minutes=minute))
    clock.now = NOON + HOUR
    assert [lease(timed).lane for _ in range(3)] == ["P-3", "P-1", "P-2"]


def test_a_worker_may_ask_for_one_hospital(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx, "S-1", lane="P-1", hospital="north")
        enqueue(tx, "S-2", lane="P-2", hospital="south")
    with timed.transaction() as tx:
        found = outbox.lease(tx, worker="w1", seconds=60, hospital="south")
    assert found is not None and found.hospital == "south"


def test_a_lost_lease_cannot_settle(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    late = lease(timed, "w1", seconds=60)
    clock.now = NOON + timedelta(seconds=60)
    holder = lease(timed, "w2", seconds=60)
    for write in (
        lambda tx: outbox.settle(tx, late, added, state="dead", reason="x"),
        lambda tx: begin(tx, late, added),
        lambda tx: outbox.renew(tx, late, seconds=60),
        lambda tx: outbox.release(tx, late),
    ):
        with pytest.raises(outbox.LeaseLost), timed.transaction() as tx:
            write(tx)
    assert states(timed) == [(1, "pending")]
    with timed.transaction() as tx:
        outbox.settle(tx, holder, added, state="dead", reason="refused")
    assert states(timed) == [(1, "dead")]


def test_a_lease_given_back_cannot_settle(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        outbox.release(tx, held)
    with pytest.raises(outbox.LeaseLost), timed.transaction() as tx:
        outbox.settle(tx, held, added, state="delivered")


def test_a_renewed_lease_lasts_longer(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
    held = lease(timed, seconds=60)
    clock.now = NOON + timedelta(seconds=50)
    with timed.transaction() as tx:
        renewed = outbox.renew(tx, held, seconds=60)
    clock.now = NOON + timedelta(seconds=100)
    assert renewed.until == NOON + timedelta(seconds=110)
    assert none_to_lease(timed)


def test_a_call_in_the_air_when_its_worker_died_is_ambiguous_and_counted(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    for deaths in (1, 2, 3):
        held = lease(timed, seconds=60)
        with timed.transaction() as tx:
            assert begin(tx, held, added)
        clock.now += timedelta(seconds=61)
        heir = lease(timed, seconds=60)
        with timed.transaction() as tx:
            found = outbox.next_delivery(tx, heir, tx.now)
            assert found is not None and (found.state, found.worker_deaths) == ("ambiguous", deaths)
            attempt = outbox.open_attempt(tx, found)
            assert attempt is not None
            outbox.finish_attempt(tx, heir, attempt, "not found")
            outbox.settle(tx, heir, found, state="pending")
            outbox.release(tx, heir)


def test_a_delivery_left_between_two_calls_begins_again(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed, seconds=60)
    with timed.transaction() as tx:
        attempt = begin(tx, held, added)
        assert attempt is not None
        outbox.finish_attempt(tx, held, attempt, "201")
    clock.now += timedelta(seconds=61)
    heir = lease(timed)
    with timed.reading() as tx:
        found = outbox.next_delivery(tx, heir, tx.now)
        assert found is not None and (found.state, found.worker_deaths) == ("pending", 1)


def test_giving_a_lane_back_in_the_middle_is_no_death(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        begin(tx, held, added)
        outbox.release(tx, held)
    with timed.reading() as tx:
        [found] = outbox.of_record(tx, "clinic", "session", "S-1")
    assert (found.state, found.worker_deaths) == ("ambiguous", 0)


def test_a_paused_hospital_is_left_alone(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
        hospitals.pause(tx, "clinic", "north", who="admin", why="maintenance", now=NOON)
    assert none_to_lease(timed)
    with timed.transaction() as tx:
        assert hospitals.resume(tx, "clinic", "north")
    assert lease(timed).hospital == "north"


def test_an_open_breaker_lets_one_probe_through_when_its_time_comes(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        enqueue(tx, "S-1", lane="P-1")
        enqueue(tx, "S-2", lane="P-2")
        hospitals.trip(tx, "clinic", "north", until=NOON + HOUR, why="unreachable", now=NOON)
    assert none_to_lease(timed)
    clock.now = NOON + HOUR
    probe = lease(timed)
    assert probe.probe
    assert none_to_lease(timed)
    with timed.transaction() as tx:
        hospitals.succeeded(tx, "clinic", "north")
    assert not lease(timed).probe


def test_a_failed_probe_opens_the_breaker_again(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
        hospitals.trip(tx, "clinic", "north", until=NOON + HOUR, why="unreachable", now=NOON)
    clock.now = NOON + HOUR
    probe = lease(timed)
    with timed.transaction() as tx:
        hospitals.failed(tx, "clinic", "north", wait=HOUR, why="unreachable", now=clock.now)
        outbox.release(tx, probe)
    assert none_to_lease(timed)
    clock.now = NOON + 2 * HOUR
    assert lease(timed).probe


def test_a_probe_given_back_without_a_word_lets_the_next_one_probe(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
        hospitals.trip(tx, "clinic", "north", until=NOON, why="unreachable", now=NOON)
    first = lease(timed)
    with timed.transaction() as tx:
        outbox.release(tx, first)
    assert lease(timed).probe


def test_threads_never_lease_one_lane_twice(store: Store) -> None:
    wanted = {f"P-{n:02}" for n in range(24)}
    with store.transaction() as tx:
        for lane in wanted:
            enqueue(tx, f"S-{lane}", lane=lane)
    start = Barrier(6)

    def take(worker: int) -> list[Lease]:
        start.wait()
        taken = []
        while True:
            with store.transaction() as tx:
                found = outbox.lease(tx, worker=f"w{worker}", seconds=60)
            if found is None:
                return taken
            taken.append(found)

    with ThreadPoolExecutor(6) as pool:
        leases = [each for several in pool.map(take, range(6)) for each in several]
    assert sorted(each.lane for each in leases) == sorted(wanted)
    assert {each.token for each in leases} == {1}


def test_the_order_in_a_lane_is_the_order_of_commits(store: Store) -> None:
    """The first to take a place holds the lane until it commits; the second comes after it, and sees it."""
    with store.transaction() as tx:
        enqueue(tx, "S-first", lane="P-1")
    start = Barrier(8)

    def add(number: int) -> int:
        start.wait()
        with store.transaction() as tx:
            seq = enqueue(tx, f"S-{number}", lane="P-1").seq
            seen = tx.rows(lanes.deliveries.select())
            # everything before us is committed and visible: nobody can appear behind a reader's back
            assert sorted(row.seq for row in seen) == list(range(1, seq + 1))
        return seq

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(add, range(8))) == list(range(2, 10))
