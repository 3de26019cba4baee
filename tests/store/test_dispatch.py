"""Calls to workers: committed with the work or not at all, one waiting per lane, and never in the way of the work itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

import pytest
from sqlalchemy import text
from store_rows import enqueue

from fhir_bridge.clock import utc_now
from fhir_bridge.errors import Refused
from fhir_bridge.store import dispatch, job_tables, outbox
from fhir_bridge.store.database import Store
from fhir_bridge.store.dispatch import Dispatch, Lane

WAKE_SECONDS = 0.3
NORTH = ("clinic", "north", "P-1")


@pytest.fixture
def shared(postgresql_url: str) -> Iterator[Store]:
    store = Store(postgresql_url, allow_unsafe=True)
    yield store
    store.close()


def calls(store: Store) -> list[str]:
    with store.reading() as tx:
        return [row[0] for row in tx.rows(text("SELECT queueing_lock FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id"))]


@dataclass
class Answering:
    """A worker in a thread that notes each call it answers, and when."""

    store: Store
    heard: list[tuple[Lane, float]] = field(default_factory=list)
    swept: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def drain(self, lane: Lane) -> None:
        self.heard.append((lane, monotonic()))
        with self.store.transaction() as tx:
            held = outbox.lease_lane(tx, tenant=lane[0], hospital=lane[1], lane=lane[2], worker="w1", seconds=60)
        if held is not None:
            with self.store.transaction() as tx:
                for delivery in outbox.of_record(tx, "clinic", "session", "S-1"):
                    outbox.settle(tx, held, delivery, state="delivered")
                outbox.release(tx, held)

    def due(self, limit: int) -> list[Lane]:
        with self.store.reading() as tx:
            found = outbox.due(tx, limit=limit)
        self.swept.set()
        return found

    def hears(self, count: int, within: float = 10) -> bool:
        end = monotonic() + within
        while len(self.heard) < count and monotonic() < end:
            sleep(0.005)
        return len(self.heard) >= count


@contextmanager
def answering(store: Store, url: str) -> Iterator[Answering]:
    worker = Answering(store)
    running = threading.Thread(
        target=Dispatch(url).run, kwargs={"drain": worker.drain, "due": worker.due, "threads": 2, "stop": worker.stop}
    )
    running.start()
    try:
        yield worker
    finally:
        worker.stop.set()
        running.join(20)
    assert not running.is_alive()


def test_a_call_is_committed_with_the_work_it_is_for(shared: Store, postgresql_url: str) -> None:
    with shared.transaction() as tx:
        enqueue(tx, now=utc_now())
        assert Dispatch(postgresql_url).call(tx, NORTH)
        assert calls(shared) == []
    assert calls(shared) == ["clinic/north/P-1"]


def test_what_is_rolled_back_calls_nobody(shared: Store, postgresql_url: str) -> None:
    with pytest.raises(RuntimeError), shared.transaction() as tx:
        enqueue(tx)
        Dispatch(postgresql_url).call(tx, NORTH)
        raise RuntimeError
    assert calls(shared) == []
    with shared.reading() as tx:
        assert outbox.of_record(tx, "clinic", "session", "S-1") == []


def test_a_call_that_waits_already_is_enough_and_does_not_end_the_transaction(shared: Store, postgresql_url: str) -> None:
    desk = Dispatch(postgresql_url)
    for number in range(3):
        with shared.transaction() as tx:
            enqueue(tx, f"S-{number}", now=utc_now())
            assert desk.call(tx, NORTH) is (number == 0)
    assert calls(shared) == ["clinic/north/P-1"]
    with shared.reading() as tx:
        assert [len(outbox.of_record(tx, "clinic", "session", f"S-{number}")) for number in range(3)] == [1, 1, 1]


def test_a_call_taken_before_the_commit_that_relies_on_it_waits_for_that_commit(shared: Store, postgresql_url: str) -> None:
    """The last moment: a call waits, so another transaction gives none; then the call is taken, before that transaction commits."""
    desk, leased = Dispatch(postgresql_url), list[bool]()

    def take() -> None:
        with shared.transaction() as tx:
            held = outbox.lease_lane(tx, tenant="clinic", hospital="north", lane="P-1", worker="w1", seconds=60)
            assert held is not None
            leased.append(outbox.next_delivery(tx, held, tx.now) is not None)

    with shared.transaction() as tx:
        enqueue(tx, now=utc_now())
    with shared.transaction() as tx:
        held = outbox.lease(tx, worker="w0", seconds=60)
        assert held is not None
        outbox.settle(tx, held, outbox.of_record(tx, "clinic", "session", "S-1")[0], state="delivered")
        outbox.release(tx, held)
        desk.call(tx, NORTH)  # an idle lane, and a call that waits
    with shared.transaction() as tx:
        enqueue(tx, "S-2", now=utc_now())
        assert not desk.call(tx, NORTH)
        taking = threading.Thread(target=take)
        taking.start()
        taking.join(0.3)
        assert leased == []
    taking.join(10)
    assert leased == [True]


def test_from_the_commit_to_the_worker_it_is_a_moment(shared: Store, postgresql_url: str) -> None:
    desk, took = Dispatch(postgresql_url), []
    with answering(shared, postgresql_url) as worker:
        with shared.transaction() as tx:  # the worker is there when it hears the first call
            enqueue(tx, now=utc_now())
            desk.call(tx, NORTH)
        assert worker.hears(1)
        for number in range(5):
            before = len(worker.heard)
            with shared.transaction() as tx:
                desk.call(tx, ("clinic", "north", f"Q-{number}"))
            start = monotonic()
            assert worker.hears(before + 1)
            took.append(worker.heard[before][1] - start)
    assert sorted(took)[2] < WAKE_SECONDS, took


def test_a_lane_nobody_was_called_to_is_found_by_the_sweep(shared: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "SWEEP_SECONDS", 1)
    with answering(shared, postgresql_url) as worker:
        assert worker.swept.wait(10)
        with shared.transaction() as tx:
            enqueue(tx, now=utc_now())
        assert worker.hears(1)
    assert worker.heard[0][0] == NORTH
    with shared.reading() as tx:
        assert outbox.of_record(tx, "clinic", "session", "S-1")[0].state == "delivered"


def test_who_starts_sweeps_at_once(shared: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "SWEEP_SECONDS", 59)
    with shared.transaction() as tx:
        enqueue(tx, now=utc_now())
    with answering(shared, postgresql_url) as worker:
        assert worker.hears(1)


def test_a_dead_workers_job_is_forgotten(shared: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "SWEEP_SECONDS", 1)
    with shared.transaction() as tx:
        Dispatch(postgresql_url).call(tx, NORTH)
        dead = "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
        number = tx.execute(text(dead)).scalar_one()
        tx.execute(text("UPDATE procrastinate_jobs SET status = 'doing', worker_id = :number").bindparams(number=number))
    with answering(shared, postgresql_url):
        assert _no_job_is_left(shared)


def test_what_is_done_leaves_no_job_behind(shared: Store, postgresql_url: str) -> None:
    with shared.transaction() as tx:
        enqueue(tx, now=utc_now())
        Dispatch(postgresql_url).call(tx, NORTH)
    with answering(shared, postgresql_url) as worker:
        assert worker.hears(1)
        assert _no_job_is_left(shared)  # asked while it works: a sweep may have called the lane again meanwhile, and that call waits


def test_a_worker_goes_on_when_its_connections_were_cut(
    shared: Store, postgresql_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE_SECONDS", 0.1)
    desk = Dispatch(postgresql_url)
    with answering(shared, postgresql_url) as worker:
        with shared.transaction() as tx:
            desk.call(tx, NORTH)
        assert worker.hears(1)
        with shared.transaction() as tx:
            tx.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'"))
        with shared.transaction() as tx:
            desk.call(tx, ("clinic", "north", "P-2"))
        assert worker.hears(2, within=20)


def test_an_upgrade_brings_the_tables_of_jobs_and_says_when_they_are_old(shared: Store) -> None:
    assert shared.check() == []
    with shared.transaction() as tx:
        mark = tx.execute(text("SELECT obj_description('procrastinate_jobs'::regclass, 'pg_class')")).scalar_one()
        newest = sorted(job_tables._migrations())[-1]
        assert mark == newest
    try:
        _mark(shared, sorted(job_tables._migrations())[-2])
        assert "jobs" in shared.check()[0].message
        _mark(shared, "made by hand")
        with pytest.raises(Refused, match="another program"):
            shared.upgrade()
    finally:
        _mark(shared, newest)
    assert shared.check() == []


def _mark(store: Store, said: str) -> None:
    with store.transaction() as tx:
        tx.execute(text(f"COMMENT ON TABLE procrastinate_jobs IS '{said}'"))


def _no_job_is_left(store: Store, within: float = 10) -> bool:
    end = monotonic() + within
    while _jobs(store, "drain") and monotonic() < end:
        sleep(0.05)
    return _jobs(store, "drain") == 0


def _jobs(store: Store, task: str) -> int:
    with store.reading() as tx:
        counted = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task").bindparams(task=task)
        return int(tx.execute(counted).scalar_one())
