"""SIGKILL at every named point of the way in and out: after a restart each record is at the hospital once, on both databases."""

import re
import signal
from pathlib import Path

import pytest
from rehearsal import HOUR, Door, Forks, NoAnswer, Rehearsal, ward
from sign_in import signed_in
from test_arrival_crash import POINTS as ARRIVING
from test_conflict_crash import POINTS as CONFLICTS
from test_pull_crash import POINTS as PULLING
from test_rotation_crash import POINTS as ROTATION
from test_schedule_crash import POINTS as SCHEDULED

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


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", WAYS_IN)
def test_a_server_killed_at_any_point_is_asked_again_and_has_each_record_once(
    forks: Forks, database_url: str, point: str, hit: int
) -> None:
    with ward("hapi") as hospital, Door.opened(Rehearsal(database_url, hospital, forks)) as door:
        visits = [Visit(number, patient=number) for number in range(3)]
        door.serve(fault=f"{point}:kill:{hit}")
        for number, visit in enumerate(visits, start=1):
            if number == hit:
                with pytest.raises(NoAnswer):
                    door.post(visit)
                assert door.ended() == -signal.SIGKILL
                door.serve()
            door.post(visit)
        door.run.settle()
        ledger = door.run.ledger()
        assert (ledger.accepted, ledger.held, door.deliveries()) == (3, 3, 3)
        assert ledger.exact, ledger


@pytest.mark.parametrize("hit", HITS)
def test_a_worker_killed_with_a_fresh_token_leaves_each_record_there_once_and_no_token_on_disk(
    forks: Forks, database_url: str, hit: int, tmp_path: Path
) -> None:
    with ward("hapi") as hospital, signed_in(hospital) as sign_in:
        run = Rehearsal(database_url, hospital, forks)
        run.accept(*(Visit(number, patient=number) for number in range(3)))
        assert run.drain(fault=f"O12:kill:{hit}", **sign_in.order) == -signal.SIGKILL
        run.settle(**sign_in.order)
        ledger = run.ledger()
        assert (ledger.held, ledger.exact) == (3, True), ledger
        assert not [file for file in tmp_path.rglob("*") if file.is_file() and sign_in.token.encode() in file.read_bytes()]


def test_every_named_point_is_rehearsed() -> None:
    """A point that is in the code and not here, or here and not in the code, is one that nobody rehearses."""
    sources = [*PACKAGE.rglob("*.py"), Path(__file__).with_name("forks.py")]
    named = {name for source in sources for name in re.findall(r'fault_point\("([^"]+)"\)', source.read_text())}
    assert named == {*WAYS_IN, *ARRIVING, *WAYS_OUT, "O12", *CONFLICTS, *PULLING, *ROTATION, *SCHEDULED}
