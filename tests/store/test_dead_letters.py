"""What a person sees of the outbox, and what they may do."""

import pytest
from store_rows import HOUR, NOON, begin, enqueue, lease, states

from fhir_bridge.store import dead_letters, hospitals, outbox
from fhir_bridge.store.database import Store
from fhir_bridge.store.rows import Delivery


@pytest.fixture
def dead(timed: Store) -> Delivery:
    """A dead delivery at the head of its lane, with another session behind it."""
    with timed.transaction() as tx:
        enqueue(tx)
        enqueue(tx, "S-2")
    held = lease(timed)
    with timed.transaction() as tx:
        delivery = outbox.next_delivery(tx, held, NOON)
        assert delivery is not None
        outbox.settle(tx, held, delivery, state="retry_wait", next_at=NOON)
        outbox.settle(tx, held, delivery, state="dead", reason="refused", detail=b'{"status":422}')
        outbox.release(tx, held)
    with timed.reading() as tx:
        [found] = dead_letters.dead(tx)
    return found


def test_a_dead_letter_tells_why(timed: Store, dead: Delivery) -> None:
    assert (dead.reason, dead.detail, dead.retries) == ("refused", b'{"status":422}', 1)
    with timed.reading() as tx:
        assert dead_letters.delivery(tx, "clinic", dead.id) == dead
        assert dead_letters.delivery(tx, "other", dead.id) is None
        assert dead_letters.delivery(tx, "clinic", "north/P-1/99") is None
        assert dead_letters.delivery(tx, "clinic", "nonsense") is None
        assert [each.record_id for each in dead_letters.waiting(tx)] == ["S-2"]
        assert dead_letters.counts(tx) == {("clinic", "north", "dead"): 1, ("clinic", "north", "pending"): 1}


def test_a_replayed_one_runs_again_with_its_counts_at_zero(timed: Store, dead: Delivery) -> None:
    with timed.transaction() as tx:
        dead_letters.replay(tx, dead, "ann")
    held = lease(timed)
    with timed.transaction() as tx:
        found = outbox.next_delivery(tx, held, NOON)
        assert found is not None
        assert (found.id, found.state, found.retries, found.decided_by) == (dead.id, "pending", 0, "ann")
        assert begin(tx, held, found) is not None


def test_a_discarded_one_is_closed_and_says_who_and_why(timed: Store, dead: Delivery) -> None:
    with timed.transaction() as tx:
        dead_letters.discard(tx, dead, "ann", "entered twice")
    with timed.reading() as tx:
        [found] = outbox.of_record(tx, "clinic", "session", "S-1")
    assert (found.state, found.decided_by, found.reason, found.closed_at) == ("discarded", "ann", "entered twice", NOON)


def test_only_the_dead_are_replayed_or_discarded(timed: Store, dead: Delivery) -> None:
    with timed.transaction() as tx:
        dead_letters.discard(tx, dead, "ann", "entered twice")
    with pytest.raises(dead_letters.NotDead), timed.transaction() as tx:
        dead_letters.replay(tx, dead, "ann")
    with pytest.raises(dead_letters.NotDead), timed.transaction() as tx:
        dead_letters.discard(tx, dead, "bob", "again")
    assert states(timed) == [(1, "discarded")]


def test_a_replay_makes_an_idle_lane_due_again(timed: Store, dead: Delivery) -> None:
    held = lease(timed)
    with timed.transaction() as tx:
        other = outbox.next_delivery(tx, held, NOON)
        assert other is not None
        outbox.settle(tx, held, other, state="delivered")
        outbox.release(tx, held)
    with timed.transaction() as tx:
        assert outbox.lease(tx, worker="w", seconds=60) is None
        dead_letters.replay(tx, dead, "ann")
    assert lease(timed).lane == "P-1"


def test_a_blocked_lane_tells_its_cause_and_how_many_wait(timed: Store, dead: Delivery) -> None:
    with timed.reading() as tx:
        [blocked] = dead_letters.blocked_lanes(tx, NOON)
    assert blocked == dead_letters.BlockedLane("clinic", "north", "P-1", "dead", "refused", NOON, "session", "S-1", 1)


def test_paused_and_broken_hospitals_block_their_lanes(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx)
        assert dead_letters.blocked_lanes(tx, NOON) == []
        hospitals.trip(tx, "clinic", "north", until=NOON + HOUR, why="unreachable", now=NOON)
        [broken] = dead_letters.blocked_lanes(tx, NOON)
        hospitals.pause(tx, "clinic", "north", who="ann", why="maintenance", now=NOON + HOUR)
        [paused] = dead_letters.blocked_lanes(tx, NOON, "clinic")
        assert dead_letters.blocked_lanes(tx, NOON, "other") == []
    assert (broken.cause, broken.reason, broken.since, broken.behind) == ("breaker-open", "unreachable", NOON, 0)
    assert (paused.cause, paused.reason, paused.since) == ("paused", "maintenance", NOON + HOUR)
