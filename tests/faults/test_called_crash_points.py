"""SIGKILL at every named point of the way in and out where workers are called to their lanes: the next one that is called finishes.

As `test_crash_points`, but nobody looks for work: a call is deferred with the acceptance, in its transaction, or not at all.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from rehearsal import HOUR, Door, Forks, NoAnswer, Rehearsal, ward
from sign_in import signed_in
from test_called_workers import clinic, everything_is_delivered, post, workers
from test_crash_points import HITS, WAYS_IN

from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.sync.bridge import Bridge

# point → a hospital at which the way out passes it three times
WAYS_OUT = dict.fromkeys(("O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9", "O10", "O13", "O14"), "hapi") | {"O11": "epic"}
SPEED = 3600  # O14: the breaker opens after waits of hours, which pass in seconds; a lease must outlast a call all the same
FAST = {"speed": SPEED, "lease": 20 * SPEED}


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize(("point", "like"), list(WAYS_OUT.items()))
def test_a_called_worker_killed_at_any_point_leaves_each_record_there_once(
    forks: Forks, postgresql_url: str, point: str, like: str, hit: int
) -> None:
    with ward(like) as hospital:
        run = Rehearsal(postgresql_url, hospital, forks)
        if point == "O14":
            hospital.faults.add(Failure(kind="unavailable", method="POST", times=8))
        pid = forks.start(**run.order("work", called=True, fault=f"{point}:kill:{hit}", **(FAST if point == "O14" else {})))
        with clinic(run) as bridge:
            post(bridge, run, *(Visit(n, patient=n, readings=12 if point == "O5" else 1, like=like) for n in range(3)))
            assert _end_of(pid, forks, bridge) == -signal.SIGKILL, f"{point} was not reached {hit} times"
            hospital.faults.clear()
            run.shift += 100 * HOUR
            with workers(run, 1):
                assert everything_is_delivered(bridge)
        assert (run.ledger().accepted, run.ledger().held, run.ledger().exact) == (3, 3, True), run.ledger()


@pytest.mark.parametrize("hit", HITS)
def test_a_called_worker_killed_with_a_fresh_token_leaves_each_record_there_once(forks: Forks, postgresql_url: str, hit: int) -> None:
    with ward("hapi") as hospital, signed_in(hospital) as sign_in:
        run = Rehearsal(postgresql_url, hospital, forks)
        pid = forks.start(**run.order("work", called=True, fault=f"O12:kill:{hit}", **sign_in.order))
        with clinic(run) as bridge:
            post(bridge, run, *(Visit(n, patient=n) for n in range(3)))
            assert _end_of(pid, forks, bridge) == -signal.SIGKILL, f"O12 was not reached {hit} times"
            run.shift += 100 * HOUR
            with workers(run, 1, **sign_in.order):
                assert everything_is_delivered(bridge)
        assert (run.ledger().accepted, run.ledger().held, run.ledger().exact) == (3, 3, True), run.ledger()


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", WAYS_IN)
def test_what_a_killed_server_had_accepted_was_called_for_and_what_not_was_not(
    forks: Forks, postgresql_url: str, point: str, hit: int
) -> None:
    with ward("hapi") as hospital, Door.opened(Rehearsal(postgresql_url, hospital, forks)) as door, workers(door.run, 1):
        door.serve(called=True, fault=f"{point}:kill:{hit}")
        for number in range(1, 4):
            visit = Visit(number, patient=number)
            if number == hit:
                with pytest.raises(NoAnswer):
                    door.post(visit)
                assert door.ended() == -signal.SIGKILL
                door.serve(called=True)
            door.post(visit)
        with clinic(door.run) as bridge:
            assert everything_is_delivered(bridge)
        assert (door.run.ledger().held, door.deliveries(), door.run.ledger().exact) == (3, 3, True)


def _end_of(pid: int, forks: Forks, bridge: Bridge) -> int:
    """The process's exit code when it died; one that has delivered everything and lives is asked to stop: 0."""
    while _lives(pid):
        if everything_is_delivered(bridge, within=0.05) and _lives(pid):
            os.kill(pid, signal.SIGTERM)
            break
        time.sleep(0.05)
    return forks.end(pid)


def _lives(pid: int) -> bool:
    """A process that ended stays in the list, as a zombie, until it is waited for."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
