"""SIGKILL in the middle of a bulk replay, of a bulk discard and of a scheduled run: what was begun is finished by the next, once."""

import signal
from collections import Counter
from datetime import UTC, datetime

import pytest
from rehearsal import HOUR, Forks, Rehearsal, accepting, ward
from schedule_book import faults
from sqlalchemy import select

from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store import audit, schedule_runs
from fhir_bridge.store.schedule_runs import Run
from fhir_bridge.store.tables import audit as trail
from fhir_bridge.sync import schedule
from fhir_bridge.sync.schedule import Named, Wish

POINTS = ("R1", "R2", "S1", "S2", "S3")
HITS = (1, 2, 3)
STOPPED = 5  # in transactions of two, so that there are three


def stopped_deliveries(run: Rehearsal) -> None:
    """The hospital refuses what the clinic posts, and then does not any more."""
    run.accept(*(Visit(number, patient=number) for number in range(STOPPED)))
    run.hospital.faults.add(Failure(kind="error-before", status=422, method="POST", times=0))
    assert run.drain() == 0
    assert len(run.stopped()) == STOPPED
    run.hospital.faults.clear()


def acted(run: Rehearsal, action: str) -> Counter[str]:
    """How often `action` stands in the audit trail, which is whole, by delivery."""
    bridge = accepting(run.database)
    with bridge.store.reading() as tx:
        found = Counter(row[0] for row in tx.rows(select(trail.c.subject).where(trail.c.action == action)))
        assert audit.verify(tx, "default", bridge.audit_key) is None
    bridge.store.close()
    return found


@pytest.mark.parametrize("hit", HITS)
def test_a_bulk_replay_that_is_killed_goes_on_where_it_was_and_sends_nothing_twice(forks: Forks, database_url: str, hit: int) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        stopped_deliveries(run)
        assert forks.run(**run.order("retry", at_once=2, fault=f"R1:kill:{hit}")) == -signal.SIGKILL
        assert acted(run, "retry").total() == min(2 * hit, STOPPED)
        assert forks.run(**run.order("retry", at_once=2)) == 0
        assert set(acted(run, "retry").values()) == {1}
        assert acted(run, "retry").total() == STOPPED
        run.settle()
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (STOPPED, True), ledger


@pytest.mark.parametrize("hit", HITS)
def test_a_bulk_discard_that_is_killed_has_given_up_and_written_down_the_same(forks: Forks, database_url: str, hit: int) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        stopped_deliveries(run)
        assert forks.run(**run.order("discard", at_once=2, fault=f"R2:kill:{hit}")) == -signal.SIGKILL
        assert acted(run, "discard").total() == STOPPED - len(run.stopped()) == (hit - 1) // 2 * 2
        for _ in range(2):
            assert forks.run(**run.order("discard", at_once=2)) == 0
            assert run.stopped() == {}
            assert acted(run, "discard") == Counter(acted(run, "discard").keys())
            assert acted(run, "discard").total() == STOPPED


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", ["S1", "S2", "S3"])
def test_a_scheduler_killed_in_a_run_is_written_down_and_the_next_one_catches_up(
    forks: Forks, database_url: str, point: str, hit: int
) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(database_url, hospital, forks)
        begun = hourly(run)
        run.accept(*(Visit(number, patient=number) for number in range(3)))
        run.shift += HOUR
        assert forks.run(**run.order("tick", rounds=3, fault=f"{point}:kill:{hit}")) == -signal.SIGKILL
        run.shift += 5 * HOUR
        assert forks.run(**run.order("tick")) == 0
        runs = history(run)
        assert [each.outcome for each in runs] == ["done", "broken-off", *["done"] * (hit - 1)]
        assert runs[0].missed >= 1
        assert faults(runs, cron="0 * * * *", zone=UTC, begun=begun, now=runs[0].started_at) == []
        run.settle()
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (3, True), ledger


def hourly(run: Rehearsal) -> datetime:
    """A push every hour; when it was added."""
    bridge = accepting(run.database)
    made = schedule.add(bridge, Named("default", "hourly"), Wish("push", "0 * * * *"), who="rehearsal")
    bridge.store.close()
    assert made.made_at <= utc_now()
    return made.made_at


def history(run: Rehearsal) -> list[Run]:
    bridge = accepting(run.database)
    with bridge.store.reading() as tx:
        found = schedule_runs.history(tx, "default", schedule="hourly")
    bridge.store.close()
    return found
