"""A look whose answer is spoilt has seen nothing, not even that nothing is there: what was sent is never sent again because of it."""

import itertools
import signal

import pytest
from rehearsal import HOUR, Forks, Rehearsal, ward

from fhir_bridge.sandbox.faults import KINDS, Failure
from fhir_bridge.sandbox.traffic import Visit

PATIENT = 60.0  # seconds a call may take: on a busy machine a slow answer is none of the failures meant here
SPOILT = sorted(KINDS.keys() - {"stall-before", "stall-after", "drip"})  # those take their time, and end as `drop-after` does


@pytest.mark.parametrize(("kind", "like"), list(zip(SPOILT, itertools.cycle(["epic", "oracle"]), strict=False)))
def test_a_spoilt_look_is_no_look(forks: Forks, sqlite_url: str, like: str, kind: str) -> None:
    with ward(like) as hospital:
        run = Rehearsal(sqlite_url, hospital, forks)
        run.accept(Visit(0, patient=0, like=like))
        assert run.drain(fault="O8:kill:3", deadline=PATIENT) == -signal.SIGKILL
        hospital.faults.add(Failure(kind=kind, path="_search$|/[A-Za-z]+/[0-9]+$", times=12))
        run.shift += HOUR
        assert run.drain(rounds=8, deadline=PATIENT) == 0
        hospital.faults.clear()
        run.shift += 7 * HOUR
        run.settle(deadline=PATIENT)
        ledger = run.ledger()
        assert ledger.exact, ledger
        assert (ledger.held == 1) != (ledger.stopped != {})


@pytest.mark.parametrize("status", [408, 409, 425])
def test_a_look_that_is_refused_for_the_moment_is_made_again(forks: Forks, sqlite_url: str, status: int) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(sqlite_url, hospital, forks)
        run.accept(Visit(0, patient=0))
        assert run.drain(fault="O8:kill:1", deadline=PATIENT) == -signal.SIGKILL
        hospital.faults.add(Failure(kind="conflict", status=status, times=20))
        run.shift += HOUR
        assert run.drain(rounds=8, deadline=PATIENT) == 0
        assert hospital.faults.spoilt == {"conflict": 20}
        run.shift += 8 * HOUR
        run.settle(deadline=PATIENT)
        ledger = run.ledger()
        assert (ledger.held, dict(ledger.stopped), ledger.exact) == (1, {}, True)
