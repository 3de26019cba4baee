"""A push every minute beside a posting clinic, by several schedulers: each minute answered once, nothing at once, nothing lost.

Here the minutes are short: the processes' clock goes faster. `make scheduled` does the same for five real minutes.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from forks import Clock
from rehearsal import Forks, Rehearsal, accepting, ward
from schedule_book import faults

from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store import schedule_runs
from fhir_bridge.store.schedule_runs import Run
from fhir_bridge.sync import schedule
from fhir_bridge.sync.schedule import Named, Wish

SPEED = 30  # a minute is two seconds
MINUTES = 5
EVERY_MINUTE = "* * * * *"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@contextmanager
def schedulers(run: Rehearsal, count: int, **more: object) -> Iterator[list[int]]:
    """So many scheduler processes; those still alive at the end are asked to stop, and must end well."""
    pids = [run.forks.start(**run.order("schedule", **more)) for _ in range(count)]
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        assert [run.forks.end(pid) for pid in pids] == [0] * len(pids)


def every_minute(run: Rehearsal) -> datetime:
    bridge = accepting(run.database)
    made = schedule.add(bridge, Named("default", "minutely"), Wish("push", EVERY_MINUTE), who="rehearsal")
    bridge.store.close()
    return made.made_at


def history(run: Rehearsal) -> list[Run]:
    bridge = accepting(run.database)
    with bridge.store.reading() as tx:
        found = schedule_runs.history(tx, "default", schedule="minutely", limit=1000)
    bridge.store.close()
    return found


def answered(run: Rehearsal) -> int:
    """How many minutes the runs have answered."""
    return sum(1 + each.missed for each in history(run))


@pytest.mark.parametrize("killed", [0, 1], ids=["all live", "one is killed"])
def test_each_minute_is_answered_once_and_what_the_clinic_posts_meanwhile_arrives_once(
    forks: Forks, database_url: str, killed: int
) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        begun = every_minute(run)
        fast = {"speed": SPEED, "since": begun.isoformat(), "look": 0.1, "lease": 100 if killed else 3600}
        with schedulers(run, 2 + killed, **fast) as alive:
            number = 0
            while utc_now() - begun < MINUTES * MINUTE / SPEED or answered(run) < MINUTES - 1:
                assert utc_now() - begun < 2 * MINUTE, "the schedulers do not run"
                run.accept(Visit(number, patient=number // 3), clock=Clock(speed=SPEED, since=begun))
                number += 1
                if killed and number == 5:
                    os.kill(alive[-1], signal.SIGKILL)
                    assert forks.end(alive.pop()) == -signal.SIGKILL
                time.sleep(0.2)
        runs = history(run)
        now = begun + (utc_now() - begun) * SPEED
        assert faults(runs, cron=EVERY_MINUTE, zone=UTC, begun=begun, now=now) == []
        assert killed or {each.outcome for each in runs} <= {"done", "stopped"}
        run.shift += 24 * 3600  # beyond the fast clock
        run.settle()
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (number, True), ledger


def test_on_postgresql_one_of_all_schedulers_is_called_to_look(forks: Forks, postgresql_url: str) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(postgresql_url, hospital, forks)
        begun = every_minute(run)
        run.accept(Visit(0, patient=0))
        run.shift = 60
        with schedulers(run, 2, called=True):
            end = time.monotonic() + 40
            while not any(each.outcome for each in history(run)) and time.monotonic() < end:
                time.sleep(0.2)
        runs = history(run)
        assert faults(runs, cron=EVERY_MINUTE, zone=UTC, begun=begun, now=runs[0].started_at) == []
        assert runs[-1].outcome == "done"
        assert run.ledger().held == 1


def _run(number: int, minute: int, seconds: float = 10, missed: int = 0, work: str = "push") -> Run:
    """A run at its minute, for some seconds."""
    start = NOON + minute * MINUTE
    due = start - missed * MINUTE
    end = start + timedelta(seconds=seconds)
    return Run("default", number, "minutely", "scheduler", work, ("general",), due, missed, "w", start, None, end, "done", b"[]")


def _judged(*runs: Run) -> list[str]:
    return faults(runs, cron=EVERY_MINUTE, zone=UTC, begun=NOON, now=NOON + timedelta(hours=1))


def test_the_judge_finds_an_overlap_a_gap_a_repetition_and_a_run_before_its_time() -> None:
    good = [_run(1, 1), _run(2, 2), _run(3, 5, missed=2), _run(4, 6)]
    assert _judged(*good) == []
    assert _judged(_run(1, 1, seconds=61), _run(2, 2)) == ["runs 1 and 2 overlap"]
    assert _judged(_run(1, 1, seconds=61), replace(_run(2, 2), hospitals=("elsewhere",))) == []
    assert len(_judged(_run(1, 1), _run(2, 3))) == 1, "a minute that nothing answers"
    assert len(_judged(_run(1, 1), replace(_run(2, 1), started_at=NOON + 2 * MINUTE))) == 1, "a minute answered twice"
    assert len(_judged(replace(_run(1, 1), started_at=NOON))) == 1, "begun before it was due"
    assert len(_judged(replace(_run(1, 1), started_at=NOON + 3 * MINUTE, ended_at=NOON + 4 * MINUTE))) == 1, "missed ones not counted"
