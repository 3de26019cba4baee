"""Many workers, and one that was stopped past its lease: no identity is written twice, and each patient's sessions arrive in order."""

import os
import signal
import time

import pytest
from rehearsal import HOUR, Forks, Rehearsal, ward

from fhir_bridge.sandbox.ledger import out_of_order
from fhir_bridge.sandbox.traffic import Visit

WORKERS = 8


def written_twice(run: Rehearsal) -> list[str]:
    return [version.path for version in run.hospital.chart.log if version.number > 1]


def stopped(pid: int) -> bool:
    return _state(pid) == "T"


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("like", ["hapi", "oracle"])
def test_eight_workers_keep_the_order_of_each_patient_and_write_nothing_twice(forks: Forks, database_url: str, like: str) -> None:
    with ward(like) as hospital:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number % 4, like=like) for number in range(12)))
        workers = [forks.start(**run.order("drain", seed=number)) for number in range(WORKERS)]
        assert [forks.end(pid) for pid in workers] == [0] * WORKERS
        run.settle()
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (12, True), ledger
        assert out_of_order(run.told, hospital.chart.log) == []
        assert written_twice(run) == []


# at a hospital that takes plain creates only, O3 to O7 are open: bytes that leave late cannot be called back (docs/reliability.md)
STOPS = [("hapi", "O2"), ("hapi", "O4"), ("hapi", "O8"), ("epic", "O8"), ("oracle", "O10")]


@pytest.mark.parametrize(("like", "point"), STOPS)
def test_a_worker_stopped_past_its_lease_writes_nothing_that_another_wrote(forks: Forks, database_url: str, like: str, point: str) -> None:
    with ward(like) as hospital:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number, like=like) for number in range(2)))
        slow = forks.start(**run.order("drain", fault=f"{point}:stop:1"))
        end = time.monotonic() + 60
        while not stopped(slow):
            assert time.monotonic() < end, f"{point} was not reached"
            time.sleep(0.02)
        run.shift += HOUR
        assert forks.run(**run.order("settle")) == 0
        os.kill(slow, signal.SIGCONT)
        assert forks.end(slow) == 0
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (2, True), ledger
        assert written_twice(run) == []
