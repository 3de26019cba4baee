"""Syncs by a schedule: due once, caught up once, counted, with one hospital's failure not the others'; all on the test's own time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ward import START, Clock, Ward, post

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.client import Client
from fhir_bridge.store import audit, schedule_runs
from fhir_bridge.store.schedule_runs import Busy, Order, Run, RunLost
from fhir_bridge.sync import schedule
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedule import Named, Wish
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Leg, Limits, PartFailed, Work
from fhir_bridge.sync.schedules.service import Scheduler
from fhir_bridge.sync.schedules.works import WORKS

NIGHTLY = Named("default", "nightly")
EVERY_NIGHT = Wish("push", "30 2 * * *")
PUSH = Order("default", "push", ("general",), "ann")


def tick(bridge: Bridge, works: Mapping[str, Work] = WORKS) -> int:
    """One look of a scheduler, and the end of what it began."""
    scheduler = Scheduler(bridge, works=works)
    begun = scheduler.tick()
    scheduler.wait()
    return begun


def history(bridge: Bridge) -> list[Run]:
    with bridge.store.reading() as tx:
        return schedule_runs.history(tx, "default")


def in_zone(bridge: Bridge, zone: str) -> Bridge:
    return replace(bridge, sites={"default": replace(bridge.sites["default"], zone=ZoneInfo(zone))})


def out(bridge: Bridge) -> Bridge:
    """With a second hospital at an address where nobody listens."""
    away = replace(bridge.hospitals["general"], name="away", client=Client("http://127.0.0.1:9/fhir"), known={})
    sites = {"default": replace(bridge.sites["default"], hospitals=("away", "general"))}
    return replace(bridge, sites=sites, hospitals={**bridge.hospitals, "away": away})


def test_what_is_due_runs_once_and_tells_what_it_did(bridge: Bridge, clock: Clock, session: dict[str, Any]) -> None:
    made = schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    assert made.next_at == datetime(2026, 3, 4, 2, 30, tzinfo=UTC)
    post(bridge, session)
    assert tick(bridge) == 0
    clock.now = made.next_at
    assert (tick(bridge), tick(bridge)) == (1, 0)
    [done] = history(bridge)
    assert (done.schedule, done.actor, done.outcome, done.due_at, done.missed) == ("nightly", "scheduler", "done", made.next_at, 0)
    assert run.totals(done) == {"delivered": 1}
    [(now, last)] = schedule.listing(bridge)
    assert (now.next_at, last) == (made.next_at + timedelta(days=1), done)


def test_three_missed_nights_are_caught_up_by_one_run(bridge: Bridge, clock: Clock) -> None:
    schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    clock.now = datetime(2026, 3, 6, 9, tzinfo=UTC)
    assert (tick(bridge), tick(bridge)) == (1, 0)
    [caught_up] = history(bridge)
    assert (caught_up.due_at, caught_up.missed) == (datetime(2026, 3, 4, 2, 30, tzinfo=UTC), 2)
    [(now, _)] = schedule.listing(bridge)
    assert now.next_at == datetime(2026, 3, 7, 2, 30, tzinfo=UTC)


def test_while_the_same_work_is_under_way_it_stays_due_and_then_runs_once(bridge: Bridge, clock: Clock) -> None:
    schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    clock.now = datetime(2026, 3, 4, 2, 29, tzinfo=UTC)
    by_hand = run.begin(bridge, PUSH)
    clock.pass_(minutes=1)
    assert tick(bridge) == 0
    clock.pass_(minutes=1)
    run.carry_out(bridge, by_hand, WORKS, limits=Limits())
    assert tick(bridge) == 1
    assert [each.schedule for each in history(bridge)] == ["nightly", None]
    assert history(bridge)[0].missed == 0


def test_two_schedulers_that_look_at_once_begin_one_run(bridge: Bridge, clock: Clock) -> None:
    schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    clock.now = datetime(2026, 3, 4, 2, 30, tzinfo=UTC)
    [due], _, _ = schedule.due(bridge)
    assert schedule.take(bridge, due) is not None
    assert schedule.take(bridge, due) is None


def test_a_hospital_that_is_out_fails_its_part_and_not_the_others(bridge: Bridge, session: dict[str, Any], clock: Clock) -> None:
    both = out(bridge)
    post(both, session)
    ended = run.carry_out(both, run.begin(both, replace(PUSH, hospitals=("away", "general"))), WORKS, limits=Limits())
    assert (ended.outcome, run.totals(ended)) == ("failed", {"retried": 1, "waiting": 1, "delivered": 1})
    [error] = run.errors(ended)
    assert error.startswith("push away: the hospital is out: ")


def test_a_bug_in_one_part_is_told_by_its_kind_and_never_by_what_it_was_given(bridge: Bridge) -> None:
    def broken(leg: Leg) -> Mapping[str, int]:
        raise ValueError("Smith, born 1980")

    ended = run.carry_out(bridge, run.begin(bridge, replace(PUSH, what="both")), {**WORKS, "pull": broken}, limits=Limits())
    assert run.errors(ended) == ["pull general: the bridge itself failed: ValueError"]
    assert b"Smith" not in ended.report


def test_what_was_done_before_a_failure_is_counted(bridge: Bridge) -> None:
    def half(leg: Leg) -> Mapping[str, int]:
        raise PartFailed("page 3 is not JSON", {"pulled": 200})

    ended = run.carry_out(bridge, run.begin(bridge, replace(PUSH, what="pull")), {"pull": half}, limits=Limits())
    assert (ended.outcome, run.totals(ended), run.errors(ended)) == ("failed", {"pulled": 200}, ["pull general: page 3 is not JSON"])


def test_asked_to_stop_it_finishes_the_delivery_in_hand_and_says_so(bridge: Bridge, session: dict[str, Any], hospital: Ward) -> None:
    post(bridge, session)
    post(bridge, session | {"id": "S-other", "patient": session["patient"] | {"id": "P-other"}})
    stop = threading.Event()
    begun = run.begin(bridge, PUSH)
    ended = run.carry_out(bridge, begun, WORKS, limits=Limits(), tell=lambda _: stop.set(), stopping=stop.is_set)
    assert (ended.outcome, run.totals(ended)) == ("stopped", {"delivered": 1, "waiting": 1})
    assert len(hospital.held("Encounter")) == 1


def test_a_run_that_was_taken_for_dead_writes_no_end(bridge: Bridge, clock: Clock) -> None:
    begun = run.begin(bridge, PUSH)
    clock.pass_(seconds=bridge.lease_seconds + 1)
    second = run.begin(bridge, PUSH)
    with pytest.raises(RunLost):
        run.carry_out(bridge, begun, WORKS, limits=Limits())
    assert [(each.number, each.outcome) for each in history(bridge)] == [(second.number, None), (begun.number, "broken-off")]


def test_a_scheduler_writes_down_what_fell_silent_though_nothing_is_due(bridge: Bridge, clock: Clock) -> None:
    run.begin(bridge, PUSH)
    clock.pass_(seconds=bridge.lease_seconds + 1)
    said: list[str] = []
    assert Scheduler(bridge, tell=said.append).tick() == 0
    assert history(bridge)[0].outcome == "broken-off"
    assert said == ["1 run(s) of default gave no sign of life and are written down as broken off"]


def test_a_long_run_says_that_it_lives(bridge: Bridge, clock: Clock) -> None:
    short, second = replace(bridge, lease_seconds=1), replace(PUSH, what="pull")
    seen: list[Callable[[], object]] = []

    def slow(leg: Leg) -> Mapping[str, int]:
        for _ in range(4):
            clock.pass_(seconds=0.6)
            _until(lambda: history(bridge)[0].lease_until > clock.now + timedelta(seconds=0.9))  # type: ignore[operator]
            with pytest.raises(Busy):
                run.begin(short, second)
            seen.append(leg.stopping)
        return {"pulled": 1}

    assert run.carry_out(short, run.begin(short, second), {"pull": slow}, limits=Limits()).outcome == "done"
    assert len(seen) == 4


def test_paused_it_does_not_run_and_what_passed_meanwhile_is_not_caught_up(bridge: Bridge, clock: Clock) -> None:
    schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    schedule.pause(bridge, NIGHTLY, who="bob", why="the hospital moves house")
    clock.now = datetime(2026, 3, 6, 9, tzinfo=UTC)
    assert tick(bridge) == 0
    resumed = schedule.resume(bridge, NIGHTLY, who="bob")
    assert resumed.next_at == datetime(2026, 3, 7, 2, 30, tzinfo=UTC)
    assert tick(bridge) == 0
    for again in (
        lambda: schedule.resume(bridge, NIGHTLY, who="bob"),
        lambda: schedule.pause(bridge, Named("default", "no"), who="b", why="w"),
    ):
        with pytest.raises(Refused):
            again()


def test_who_changed_a_schedule_is_in_the_audit_trail_and_its_history_outlives_it(bridge: Bridge, clock: Clock) -> None:
    schedule.add(bridge, NIGHTLY, EVERY_NIGHT, who="ann")
    schedule.pause(bridge, NIGHTLY, who="bob", why="w")
    schedule.resume(bridge, NIGHTLY, who="bob")
    clock.now = datetime(2026, 3, 4, 2, 30, tzinfo=UTC)
    tick(bridge)
    schedule.remove(bridge, NIGHTLY, who="cleo")
    with bridge.store.reading() as tx:
        told = [(entry.actor, entry.action) for entry in audit.of_subject(tx, "default", "schedule/nightly")]
    assert told == [("ann", "schedule-added"), ("bob", "schedule-paused"), ("bob", "schedule-resumed"), ("cleo", "schedule-removed")]
    assert [each.schedule for each in history(bridge)] == ["nightly"]


def test_everything_wrong_with_a_wish_is_told_at_once(bridge: Bridge) -> None:
    with pytest.raises(Refused) as refused:
        schedule.add(bridge, Named("default", "no/slash"), Wish("push", "30 2 * *", ("nowhere",), older_than=3), who="ann")
    assert [fault.path for fault in refused.value.faults] == ["cron", "name", "hospital", "older-than"]
    with pytest.raises(Refused):
        schedule.add(bridge, Named("elsewhere", "nightly"), EVERY_NIGHT, who="ann")


def test_a_night_is_the_sites_night_and_moves_with_its_zone(bridge: Bridge, clock: Clock) -> None:
    made = schedule.add(in_zone(bridge, "America/New_York"), NIGHTLY, EVERY_NIGHT, who="ann")
    assert made.next_at == datetime(2026, 3, 4, 7, 30, tzinfo=UTC)
    moved = in_zone(bridge, "Europe/Berlin")
    schedule.rezoned(moved)
    [(now, _)] = schedule.listing(moved)
    assert (now.next_at, now.zone) == (datetime(2026, 3, 4, 1, 30, tzinfo=UTC), "Europe/Berlin")
    clock.now = datetime(2026, 3, 4, 1, 31, tzinfo=UTC)
    schedule.rezoned(in_zone(bridge, "America/New_York"))
    assert tick(in_zone(bridge, "America/New_York")) == 1, "a time that has come stays due"


def test_the_archive_runs_by_its_age(bridge: Bridge, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    run.carry_out(bridge, run.begin(bridge, PUSH), WORKS, limits=Limits())
    schedule.add(bridge, Named("default", "tidy"), Wish("archive", "0 4 * * *", older_than=10), who="ann")
    for days, archived in ((5, {}), (11, {"archived": 1})):
        clock.now = START + timedelta(days=days)
        assert tick(bridge) == 1
        assert run.totals(history(bridge)[0]) == archived


def test_a_pull_that_is_wanted_soon_is_begun_once_with_its_types(bridge: Bridge, clock: Clock) -> None:
    legs: list[Leg] = []
    works = {"pull": lambda leg: legs.append(leg) or {"pulled": 1}}
    with bridge.store.transaction() as tx:
        for type in ("Task", "Appointment", "Task"):
            schedule.pull_soon(tx, "default", "general", type)
    assert (tick(bridge, works), tick(bridge, works)) == (1, 0)
    [leg] = legs
    assert (leg.hospital, leg.types) == ("general", ("Appointment", "Task"))
    assert [(each.actor, each.outcome) for each in history(bridge)] == [("notification", "done")]


def test_a_pull_that_is_wanted_of_a_hospital_that_is_gone_is_not_begun(bridge: Bridge) -> None:
    with bridge.store.transaction() as tx:
        schedule.pull_soon(tx, "default", "closed", "Task")
        schedule.pull_soon(tx, "elsewhere", "general", "Task")
    assert tick(bridge) == 0


def test_a_wanted_pull_that_failed_is_tried_again_later(bridge: Bridge, clock: Clock) -> None:
    def fails(leg: Leg) -> Mapping[str, int]:
        raise PartFailed("the hospital is out")

    with bridge.store.transaction() as tx:
        schedule.pull_soon(tx, "default", "general", "Task")
    assert (tick(bridge, {"pull": fails}), tick(bridge, {"pull": fails})) == (1, 0)
    clock.pass_(minutes=10)
    assert (tick(bridge, {"pull": fails}), tick(bridge, {"pull": fails})) == (1, 0)


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not become so within 30 s")
