"""Runs as leases on their work, and schedules, on both databases."""

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from store_rows import HOUR, NOON, Clock

from fhir_bridge.store import schedule_runs, schedules
from fhir_bridge.store.database import Store, StoreError
from fhir_bridge.store.schedule_runs import Busy, Order, Run, RunLost
from fhir_bridge.store.schedules import Schedule, Wanted

MINUTE = timedelta(minutes=1)
NIGHTLY = Schedule("clinic", "nightly", "both", None, "30 2 * * *", "UTC", made_at=NOON, made_by="ann", next_at=NOON + HOUR)
PULL = Order("clinic", "pull", ("north", "south"), "ann")


def begin(store: Store, order: Order = PULL, seconds: float = 60) -> Run:
    with store.transaction() as tx:
        return schedule_runs.begin(tx, order, worker="w1", seconds=seconds)


def end(store: Store, run: Run, outcome: str = "done") -> None:
    with store.transaction() as tx:
        schedule_runs.end(tx, run, outcome=outcome, report=b"[]")


def history(store: Store, **which: object) -> list[tuple[int, str | None]]:
    with store.reading() as tx:
        return [(run.number, run.outcome) for run in schedule_runs.history(tx, "clinic", **which)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        PULL,
        replace(PULL, hospitals=("south",)),
        replace(PULL, what="both", hospitals=("east", "north")),
        replace(PULL, schedule="nightly", actor="scheduler"),
        replace(PULL, what="reconcile"),  # it begins with a pull
    ],
)
def test_what_is_done_at_a_hospital_is_not_begun_there_again_before_its_end(timed: Store, other: Order) -> None:
    first = begin(timed)
    with pytest.raises(Busy, match=f"run {first.number} "):
        begin(timed, other)
    end(timed, first)
    assert begin(timed, other).number == first.number + 1


@pytest.mark.parametrize(
    "other",
    [
        replace(PULL, what="push"),
        replace(PULL, hospitals=("east",)),
        replace(PULL, tenant="elsewhere"),
        Order("clinic", "archive", (), "ann"),
    ],
)
def test_other_work_goes_on_beside_it(timed: Store, other: Order) -> None:
    begin(timed)
    assert begin(timed, other).outcome is None


def test_of_many_that_begin_at_the_same_moment_one_does(store: Store) -> None:
    """On the database's own clock, each with a connection of its own; again and again, as each one ends."""
    begun: list[Run] = []

    def beginning() -> None:
        with suppress(Busy):
            begun.append(begin(store))

    for round in range(1, 4):
        threads = [threading.Thread(target=beginning) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [run.number for run in begun] == list(range(1, round + 1))
        end(store, begun[-1])
    with store.reading() as tx:
        told = schedule_runs.history(tx, "clinic")
    assert all(earlier.ended_at and later.started_at >= earlier.ended_at for later, earlier in pairwise(told))


def test_a_run_that_gave_no_sign_of_life_is_written_down_as_broken_off_by_the_next(timed: Store, clock: Clock) -> None:
    first = begin(timed)
    with timed.transaction() as tx:
        schedule_runs.renew(tx, first, seconds=60, report=b'[{"work":"pull"}]')
    clock.now += 2 * MINUTE
    second = begin(timed)
    assert history(timed) == [(second.number, None), (first.number, "broken-off")]
    with timed.reading() as tx:
        kept = schedule_runs.one(tx, "clinic", first.number)
    assert kept is not None
    assert (kept.report, kept.ended_at, kept.lease_until) == (b'[{"work":"pull"}]', clock.now, None)


def test_what_was_broken_off_and_lives_after_all_writes_nothing_more(timed: Store, clock: Clock) -> None:
    first = begin(timed)
    clock.now += 2 * MINUTE
    second = begin(timed)
    for write in (
        lambda tx: schedule_runs.renew(tx, first, seconds=60),
        lambda tx: schedule_runs.end(tx, first, outcome="done", report=b"[1]"),
    ):
        with pytest.raises(RunLost), timed.transaction() as tx:
            write(tx)
    assert history(timed) == [(second.number, None), (first.number, "broken-off")]


def test_a_sign_of_life_keeps_it(timed: Store, clock: Clock) -> None:
    first = begin(timed)
    for _ in range(5):
        clock.now += MINUTE / 2
        with timed.transaction() as tx:
            schedule_runs.renew(tx, first, seconds=60)
        with timed.reading() as tx:
            assert schedule_runs.silent(tx, tx.now) == []
        with pytest.raises(Busy):
            begin(timed)
    clock.now += MINUTE
    with timed.transaction() as tx:
        assert schedule_runs.silent(tx, tx.now) == ["clinic"]
        assert schedule_runs.break_off(tx, "clinic", tx.now) == 1
        assert schedule_runs.break_off(tx, "clinic", tx.now) == 0


def test_the_history_is_paged_and_of_one_schedule_or_all(timed: Store) -> None:
    for number in range(5):
        end(timed, begin(timed, replace(PULL, schedule="nightly" if number % 2 else None)))
    assert history(timed, limit=2) == [(5, "done"), (4, "done")]
    assert history(timed, limit=2, before=4) == [(3, "done"), (2, "done")]
    assert history(timed, schedule="nightly") == [(4, "done"), (2, "done")]


def test_the_history_ends_after_ninety_days(timed: Store, clock: Clock) -> None:
    end(timed, begin(timed))
    clock.now += timedelta(days=89)
    end(timed, begin(timed))
    assert [number for number, _ in history(timed)] == [2, 1]
    clock.now += timedelta(days=2)
    end(timed, begin(timed))
    assert [number for number, _ in history(timed)] == [3, 2]


def test_a_schedule_comes_back_as_it_was_added_and_its_name_is_taken_once(timed: Store) -> None:
    some = replace(NIGHTLY, name="south", hospitals=("south",))
    put_away = replace(NIGHTLY, name="archive", what="archive", older_than=90)
    with timed.transaction() as tx:
        assert all(schedules.add(tx, each) for each in (NIGHTLY, some, put_away))
        assert not schedules.add(tx, NIGHTLY)
        assert schedules.listing(tx) == [put_away, NIGHTLY, some]
        assert schedules.listing(tx, "elsewhere") == []


def test_it_is_due_when_its_time_has_come_and_not_while_it_is_paused(timed: Store) -> None:
    with timed.transaction() as tx:
        schedules.add(tx, NIGHTLY)
        assert schedules.due(tx, NOON) == []
        assert schedules.due(tx, NOON + HOUR) == [NIGHTLY]
        schedules.pause(tx, NIGHTLY, who="ann", why="moving house", now=NOON)
        [paused] = schedules.listing(tx)
        assert (paused.next_at, paused.paused_by, paused.paused_why) == (None, "ann", "moving house")
        assert schedules.due(tx, NOON + HOUR) == []
        schedules.move(tx, paused, next_at=NOON + 2 * HOUR, zone="UTC")
        assert schedules.due(tx, NOON + 2 * HOUR) == [replace(NIGHTLY, next_at=NOON + 2 * HOUR)]
        schedules.remove(tx, NIGHTLY)
        assert schedules.listing(tx) == []


@pytest.mark.parametrize("wrong", [{"what": "everything"}, {"next_at": None}, {"older_than": 3}, {"paused_at": NOON}])
def test_what_must_not_be_is_refused_by_the_database(timed: Store, wrong: dict[str, object]) -> None:
    with pytest.raises(StoreError), timed.transaction() as tx:
        schedules.add(tx, replace(NIGHTLY, **wrong))  # type: ignore[arg-type]


def test_a_pull_is_wanted_once_however_often_it_is_said(timed: Store, clock: Clock) -> None:
    with timed.transaction() as tx:
        for type in ("Task", "Appointment", "Task"):
            schedules.want_pull(tx, tenant="clinic", hospital="north", type=type, now=tx.now)
        [pulls] = schedules.wanted(tx, tx.now)
        assert pulls == Wanted("clinic", "north", (("Appointment", NOON), ("Task", NOON)))
        put_off = schedules.put_off(tx, pulls, NOON + HOUR)
        assert schedules.wanted(tx, NOON) == []
        assert schedules.wanted(tx, NOON + HOUR) == [put_off]


def test_what_is_said_while_it_is_pulled_is_wanted_again(timed: Store) -> None:
    with timed.transaction() as tx:
        for type in ("Appointment", "Task"):
            schedules.want_pull(tx, tenant="clinic", hospital="north", type=type, now=NOON)
        put_off = schedules.put_off(tx, schedules.wanted(tx, NOON)[0], NOON + HOUR)
        schedules.want_pull(tx, tenant="clinic", hospital="north", type="Task", now=NOON + MINUTE)
        schedules.fulfilled(tx, put_off)
        assert schedules.wanted(tx, NOON + MINUTE) == [Wanted("clinic", "north", (("Task", NOON + MINUTE),))]
