"""The outbox: order, fencing, and what a newer version does to an older one."""

from datetime import timedelta

import pytest
from store_rows import HOUR, NOON, Clock, begin, enqueue, lease, states

from fhir_bridge.store import dead_letters, outbox
from fhir_bridge.store.database import Store, StoreError
from fhir_bridge.store.rows import Delivery, Lease


def next_of(store: Store, held: Lease) -> Delivery | None:
    with store.reading() as tx:
        return outbox.next_delivery(tx, held, tx.now)


def settle(store: Store, held: Lease, delivery: Delivery, state: str, **rest: object) -> bool:
    with store.transaction() as tx:
        return outbox.settle(tx, held, delivery, state=state, **rest)  # type: ignore[arg-type]


def deliver(store: Store, held: Lease, delivery: Delivery) -> None:
    with store.transaction() as tx:
        attempt = begin(tx, held, delivery)
    assert attempt is not None
    with store.transaction() as tx:
        outbox.finish_attempt(tx, held, attempt, "200")
        outbox.settle(tx, held, delivery, state="delivered")


def test_a_delivery_goes_from_pending_to_delivered(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    assert (added.seq, added.state, added.id) == (1, "pending", "north/P-1/1")
    held = lease(timed)
    found = next_of(timed, held)
    assert found == added
    deliver(timed, held, added)
    assert states(timed) == [(1, "delivered")]
    with timed.reading() as tx:
        [attempt] = outbox.attempts_of(tx, added)
        assert (attempt.number, attempt.outcome, attempt.worker, attempt.token) == (1, "200", "w1", held.token)
        [done] = outbox.of_record(tx, "clinic", "session", "S-1")
        assert (done.attempts, done.closed_at) == (1, NOON)
    assert next_of(timed, held) is None


def test_what_is_rolled_back_was_never_enqueued(timed: Store) -> None:
    with pytest.raises(RuntimeError), timed.transaction() as tx:
        enqueue(tx)
        raise RuntimeError
    assert states(timed) == []
    with timed.transaction() as tx:
        assert enqueue(tx).seq == 1


def test_a_delivery_needs_its_record(timed: Store) -> None:
    with pytest.raises(StoreError, match=r"(?i)foreign key"), timed.transaction() as tx:
        outbox.enqueue(tx, tenant="clinic", hospital="north", lane="P-1", kind="session", record_id="S-1", version=1, now=NOON)


def test_a_newer_version_supersedes_what_is_not_on_its_way(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx, version=1)
        enqueue(tx, version=2)
    assert states(timed) == [(1, "superseded"), (2, "pending")]


def test_a_newer_version_supersedes_the_dead_one_that_blocked_it(timed: Store) -> None:
    with timed.transaction() as tx:
        poison = enqueue(tx, version=1)
    held = lease(timed)
    assert settle(timed, held, poison, "dead", reason="refused")
    with timed.transaction() as tx:
        corrected = enqueue(tx, version=2)
    assert states(timed) == [(1, "superseded"), (2, "pending")]
    assert next_of(timed, held) == corrected


def test_a_newer_version_waits_for_the_older_one_whose_fate_is_unknown(timed: Store) -> None:
    with timed.transaction() as tx:
        first = enqueue(tx, version=1)
    held = lease(timed)
    with timed.transaction() as tx:
        begin(tx, held, first)
        enqueue(tx, version=2)
    assert states(timed) == [(1, "sending"), (2, "pending")]
    assert next_of(timed, held) is None
    settle(timed, held, first, "ambiguous")
    looked = next_of(timed, held)
    assert looked is not None and (looked.version, looked.state) == (1, "ambiguous")


def test_an_older_version_that_comes_late_is_superseded_at_once(timed: Store) -> None:
    with timed.transaction() as tx:
        enqueue(tx, version=2)
        assert enqueue(tx, version=1).state == "superseded"
    assert states(timed) == [(1, "superseded"), (2, "pending")]


def test_a_delivery_superseded_in_the_workers_hand_is_not_started(timed: Store) -> None:
    with timed.transaction() as tx:
        first = enqueue(tx, version=1)
    held = lease(timed)
    with timed.transaction() as tx:
        enqueue(tx, version=2)
    with timed.transaction() as tx:
        assert begin(tx, held, first) is None
    assert not settle(timed, held, first, "dead", reason="no template fits")
    assert states(timed) == [(1, "superseded"), (2, "pending")]


def test_a_waiting_delivery_holds_back_its_own_record_and_no_other(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        stuck = enqueue(tx, "S-1")
        other = enqueue(tx, "S-2")
    held = lease(timed)
    settle(timed, held, stuck, "retry_wait", next_at=NOON + HOUR)
    assert next_of(timed, held) == other
    deliver(timed, held, other)
    assert next_of(timed, held) is None
    clock.now = NOON + HOUR
    again = next_of(timed, held)
    assert again is not None and (again.record_id, again.retries) == ("S-1", 1)


def test_a_wait_that_is_the_hospitals_fault_is_not_counted(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    settle(timed, held, added, "retry_wait", next_at=NOON + HOUR, counted=False)
    with timed.reading() as tx:
        assert [each.retries for each in dead_letters.waiting(tx)] == [0]


def test_a_dead_delivery_blocks_only_its_own_record(timed: Store) -> None:
    with timed.transaction() as tx:
        dead, other = enqueue(tx, "S-1"), enqueue(tx, "S-2")
    held = lease(timed)
    settle(timed, held, dead, "dead", reason="refused")
    assert next_of(timed, held) == other


def test_a_session_moved_to_another_patient_waits_for_its_older_version(timed: Store) -> None:
    with timed.transaction() as tx:
        wrong = enqueue(tx, version=1, lane="P-1")
    first = lease(timed, "w1")
    with timed.transaction() as tx:
        begin(tx, first, wrong)
        right = enqueue(tx, version=2, lane="P-2")
    second = lease(timed, "w2")
    assert (second.lane, next_of(timed, second)) == ("P-2", None)
    with timed.transaction() as tx:
        outbox.release(tx, second)
    with timed.transaction() as tx:
        assert outbox.lease(tx, worker="w2", seconds=60) is None
    with timed.transaction() as tx:
        attempt = outbox.open_attempt(tx, wrong)
        assert attempt is not None
        outbox.finish_attempt(tx, first, attempt, "200")
        outbox.settle(tx, first, wrong, state="delivered")
    assert next_of(timed, lease(timed, "w2")) == right


def test_an_attempt_without_an_outcome_allows_only_ambiguous(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        begin(tx, held, added)
    for state in ("delivered", "pending", "dead", "retry_wait"):
        with pytest.raises(outbox.StillOpen):
            settle(timed, held, added, state, reason="x")
    with pytest.raises(outbox.StillOpen), timed.transaction() as tx:
        begin(tx, held, added)
    assert settle(timed, held, added, "ambiguous", next_at=NOON + timedelta(minutes=10))


def test_an_attempts_outcome_is_written_once(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with timed.transaction() as tx:
        attempt = begin(tx, held, added)
        assert attempt is not None
        outbox.finish_attempt(tx, held, attempt, "503", b'{"retry_after":5}')
    with pytest.raises(ValueError, match="already"), timed.transaction() as tx:
        outbox.finish_attempt(tx, held, attempt, "200")


def test_a_delivery_of_several_calls_has_an_attempt_for_each(timed: Store) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    for step in ("patient", "session"):
        with timed.transaction() as tx:
            attempt = begin(tx, held, added, step)
            assert attempt is not None
            outbox.finish_attempt(tx, held, attempt, "201")
    with timed.reading() as tx:
        assert [(each.number, each.step) for each in outbox.attempts_of(tx, added)] == [(1, "patient"), (2, "session")]


@pytest.mark.parametrize(
    "impossible",
    [
        {"state": "retry_wait"},
        {"state": "pending", "next_at": NOON},
        {"state": "dead"},
        {"state": "discarded", "reason": "x"},
        {"state": "lost"},
    ],
)
def test_a_state_that_makes_no_sense_is_refused_by_the_database(timed: Store, impossible: dict[str, object]) -> None:
    with timed.transaction() as tx:
        added = enqueue(tx)
    held = lease(timed)
    with pytest.raises(StoreError, match=r"(?i)check constraint"):
        settle(timed, held, added, **impossible)  # type: ignore[arg-type]
    assert states(timed) == [(1, "pending")]
