"""SIGKILL at every named point of the way in and out: after a restart each record is at the hospital once, on both databases."""

import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rehearsal import HOUR, Forks, Rehearsal, ward

from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit

PACKAGE = Path(__file__).parents[2] / "fhir_bridge"
HITS = (1, 2, 3)
WAYS_IN = ("I1", "I2", "I3", "I4", "I5")
# point → the hospitals at which the way out passes it three times
WAYS_OUT = {
    **dict.fromkeys(("O1", "O2", "O3", "O4", "O6", "O7", "O8", "O9", "O10", "O13"), ("hapi", "epic", "oracle")),
    "O5": ("hapi",),  # elsewhere each write is small enough to leave in one piece
    "O11": ("epic", "oracle"),  # at HAPI one call is all there is
    # O12 below
    "O14": ("hapi",),
}
CASES = [(point, like, hit) for point, likes in WAYS_OUT.items() for like in likes for hit in HITS]


@pytest.mark.parametrize(("point", "like", "hit"), CASES)
def test_a_worker_killed_at_any_point_leaves_each_record_there_once(
    forks: Forks, database_url: str, point: str, like: str, hit: int
) -> None:
    with ward(like) as hospital:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number, readings=12 if point == "O5" else 1, like=like) for number in range(3)))
        rounds = 1
        if point == "O14":  # five failures open the breaker, each failed probe opens it again
            hospital.faults.add(Failure(kind="unavailable", method="POST", times=8))
            rounds = 10
        assert run.drain(fault=f"{point}:kill:{hit}", rounds=rounds) == -signal.SIGKILL, f"{point} was not reached {hit} times"
        run.shift += rounds * HOUR
        run.settle()
        ledger = run.ledger()
        assert (ledger.accepted, ledger.held, dict(ledger.stopped)) == (3, 3, {})
        assert ledger.exact, ledger
