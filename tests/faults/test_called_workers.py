"""Workers called to their lanes, as processes on PostgreSQL: nothing lost, nothing twice, none idle, and none missed when killed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256

import pytest
from rehearsal import CLINIC, Forks, Rehearsal, Ward, accepting, ward
from sqlalchemy import select

from fhir_bridge import documents
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store.dispatch import Dispatch
from fhir_bridge.store.tables import attempts
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge

SECONDS = 40  # for all of a test's deliveries, on a busy machine
WAKE_SECONDS = 0.3


@pytest.fixture
def run(postgresql_url: str, forks: Forks) -> Iterator[Rehearsal]:
    with ward("hapi") as hospital:
        yield Rehearsal(postgresql_url, hospital, forks)


@contextmanager
def clinic(run: Rehearsal) -> Iterator[Bridge]:
    """A door that calls workers."""
    bridge = replace(accepting(run.database), dispatch=Dispatch(run.database))
    try:
        yield bridge
    finally:
        bridge.store.close()


@contextmanager
def workers(run: Rehearsal, count: int, **more: object) -> Iterator[list[int]]:
    """So many worker processes; those still alive at the end are asked to stop, and must end well."""
    pids = [run.forks.start(**run.order("work", called=True, **more)) for _ in range(count)]
    try:
        yield pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        assert [run.forks.end(pid) for pid in pids] == [0] * len(pids)


def post(bridge: Bridge, run: Rehearsal, *visits: Visit) -> None:
    for visit in visits:
        body = documents.dumps(visit.document())
        digest = sha256(body).hexdigest()
        accept.accept(bridge, client=CLINIC, kind="session", document=documents.loads(body), body_sha256=digest)
        run.told.append(visit.told())


def everything_is_delivered(bridge: Bridge, *, within: float = SECONDS) -> bool:
    end = time.monotonic() + within
    while any(hospital["open"] for hospital in status.overview(bridge)["hospitals"]) and time.monotonic() < end:
        time.sleep(0.05)
    return time.monotonic() < end


def hands(bridge: Bridge) -> set[str]:
    """The workers that made calls."""
    with bridge.store.reading() as tx:
        return {row[0] for row in tx.rows(select(attempts.c.worker))}


def test_two_workers_share_the_lanes_and_deliver_each_record_once(run: Rehearsal) -> None:
    with clinic(run) as bridge, workers(run, 2):
        post(bridge, run, *(Visit(number, patient=number // 2) for number in range(40)))
        assert everything_is_delivered(bridge)
        assert len(hands(bridge)) == 2
    assert run.ledger().exact
    assert run.ledger().held == 40


def test_when_a_worker_is_killed_the_other_finishes(run: Rehearsal) -> None:
    with clinic(run) as bridge, workers(run, 2, lease=3) as alive:
        post(bridge, run, *(Visit(number, patient=number) for number in range(30)))
        _wait_for_calls(run.hospital, 5)
        killed = alive.pop()
        os.kill(killed, signal.SIGKILL)
        assert run.forks.end(killed) == -signal.SIGKILL
        assert everything_is_delivered(bridge)
    assert run.ledger().exact
    assert run.ledger().held == 30


def test_what_a_stopped_worker_left_is_taken_up_by_the_next(run: Rehearsal) -> None:
    with clinic(run) as bridge:
        with workers(run, 1):
            post(bridge, run, *(Visit(number, patient=number % 3) for number in range(20)))
            _wait_for_calls(run.hospital, 3)
        with workers(run, 1):
            assert everything_is_delivered(bridge)
    assert run.ledger().exact


def test_from_the_commit_to_the_hospital_it_is_a_moment(run: Rehearsal) -> None:
    with clinic(run) as bridge, workers(run, 1):
        took = []
        for number in range(6):
            before = len(run.hospital.chart.log)
            post(bridge, run, Visit(number, patient=number))
            start = time.monotonic()
            _wait_for_calls(run.hospital, before + 1)
            took.append(time.monotonic() - start)
            assert everything_is_delivered(bridge)
        assert sorted(took)[3] < WAKE_SECONDS, took


def _wait_for_calls(hospital: Ward, count: int) -> None:
    """Until the hospital has written so many resources."""
    end = time.monotonic() + SECONDS
    while len(hospital.chart.log) < count:
        assert time.monotonic() < end
        time.sleep(0.002)
