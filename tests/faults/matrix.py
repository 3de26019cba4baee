"""The fault matrix: every fault × every step of a delivery × every hospital, each cell with its stated outcome.

`make chaos-matrix` plays all of it, several cells at once and where it was left off; the suite plays a sample of it in which every
two of fault, step and hospital meet (`sample`).
"""

import argparse
import atexit
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import combinations, product
from multiprocessing import get_context
from pathlib import Path
from re import search
from typing import Any

from network import networked
from rehearsal import Forks, Rehearsal, Ward, forking, ward
from sign_in import AT as TOKEN
from sign_in import signed_in

from fhir_bridge.sandbox import relay
from fhir_bridge.sandbox.faults import KINDS, Failure
from fhir_bridge.sandbox.ledger import Ledger
from fhir_bridge.sandbox.traffic import Visit, fixed
from fhir_bridge.store.database import Store

NETWORK = tuple(sorted(relay.KINDS))  # below HTTP
FAULTS = (*sorted(KINDS), *NETWORK)
HOSPITALS = ("hapi", "epic", "oracle", "athena")
# step → how its request is known: method and path
STEPS = {
    "token": ("POST", f"{TOKEN}$"),
    "metadata": ("GET", "/metadata$"),
    "look": ("POST", "/Procedure/_search$"),
    "patient search": ("POST", "/Patient/_search$"),
    "patient write": ("POST", "/Patient$"),
    "transaction": ("POST", "/fhir$"),
    "batch": ("POST", "/fhir$"),
    "write": ("POST", "/(Observation|Encounter)$"),
    "read": ("GET", "/[A-Z][A-Za-z]+/[0-9a-f-]+$"),
}
TAKEN = {
    "hapi": {"token", "metadata", "transaction"},
    "epic": {"token", "metadata", "look", "patient search", "patient write", "write", "read"},
    "oracle": {"token", "metadata", "look", "patient search", "patient write", "write", "batch", "read"},
    "athena": {"token", "metadata"},
}
# seconds a call may take: what never ends is waited for so long, and a call to a busy machine must not take as much
DEADLINE = 0.8
LASTING = frozenset({"connect-hang", "swallowed", "trickle", "slow-close"})
WRITES = ("patient write", "transaction", "batch", "write")
HELD, NOTHING, DOUBLED = "held", "the hospital takes nothing by machine", "doubled by the hospital itself"


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault, once, at one step of one delivery."""

    fault: str
    step: str
    like: str


def cells() -> list[Cell]:
    """Every cell whose step is taken at its hospital."""
    return [Cell(*cell) for cell in product(FAULTS, STEPS, HOSPITALS) if cell[1] in TAKEN[cell[2]]]


def sample() -> list[Cell]:
    """As few cells as are found by taking, again and again, the first that has most pairs which no other has yet."""
    left, chosen, rest = {pair for cell in cells() for pair in _pairs(cell)}, [], cells()
    while left:
        best = max(rest, key=lambda cell: len(left & _pairs(cell)))
        chosen.append(best)
        rest.remove(best)
        left -= _pairs(best)
    return chosen


def _pairs(cell: Cell) -> set[frozenset[tuple[str, str]]]:
    """(fault, step), (fault, hospital) and (step, hospital)."""
    parts = (("fault", cell.fault), ("step", cell.step), ("like", cell.like))
    return {frozenset(pair) for pair in combinations(parts, 2)}


def stated(cell: Cell) -> str:
    """What must become of the record: it is held, or a person is shown it and why."""
    if cell.like == "athena":
        return NOTHING
    writes = cell.step in WRITES
    if writes and cell.fault == "redirect":
        return "stopped: redirected"
    if cell.fault == "twice" and (cell.step in ("batch", "write") or (cell.step, cell.like) == ("patient write", "oracle")):
        return DOUBLED  # a plain create; Epic alone refuses a second patient of the same number (59141)
    return HELD


def play(cell: Cell, forks: Forks, database: str, folder: Path) -> str:
    """What became of the record; the fault is known to have met its request. `folder` is an empty one."""
    if cell.fault in NETWORK:
        return _below_http(cell, forks, database, folder)
    method, path = STEPS[cell.step]
    with ward(cell.like) as there, _asking(cell, there) as hospital:
        run = Rehearsal(database, hospital, forks)
        run.accept(Visit(0, patient=0, like=cell.like))
        seconds = {"drip": 0.05}.get(cell.fault, 2 * DEADLINE)
        hospital.faults.add(Failure(kind=cell.fault, method=method, path=path, seconds=seconds, retry_after="20"))
        if cell.fault.startswith("stall"):
            assert run.drain(deadline=DEADLINE) == 0
            time.sleep(seconds)  # hours pass in a moment in what follows, and must not pass what the hospital still works on
        run.settle(deadline=DEADLINE)
        assert hospital.faults.spoilt == {cell.fault: 1}, f"{cell} was not met"
        return _outcome(hospital, run.ledger())


def _below_http(cell: Cell, forks: Forks, database: str, folder: Path) -> str:
    """From the request of the step on the network is in trouble, until a worker has given up for now."""
    place = _place(cell, forks, database, folder)
    with networked(cell.like, cell.fault, folder) as there, _asking(cell, there) as hospital:
        assert hospital.network
        run = Rehearsal(database, hospital, forks)
        run.accept(Visit(0, patient=0, like=cell.like))
        hospital.network.fail(cell.fault, at=place)
        assert run.drain(deadline=DEADLINE if cell.fault in LASTING else 10 * DEADLINE) == 0
        assert hospital.network.trouble == cell.fault, f"{cell} was not met"
        hospital.network.heal()
        run.settle(deadline=2 * DEADLINE)
        return _outcome(hospital, run.ledger())


@contextmanager
def _asking(cell: Cell, hospital: Ward) -> Iterator[Ward]:
    """`hospital`, which asks for a token where the step is to get one."""
    if cell.step != "token":
        yield hospital
        return
    with signed_in(hospital) as sign_in:
        yield replace(hospital, order={**hospital.order, **sign_in.order})


# by hospital, and whether it asks for a token: the requests of one delivery when nothing fails
_taken: dict[tuple[str, bool], list[tuple[str, str]]] = {}


def _place(cell: Cell, forks: Forks, database: str, folder: Path) -> int:
    """Which of a delivery's requests the step's first one is, the first 1."""
    kind = (cell.like, cell.step == "token")
    if kind not in _taken:
        copy = shutil.copyfile(database.removeprefix("sqlite:///"), folder / "without-trouble.sqlite")
        with networked(cell.like, "", folder) as there, _asking(cell, there) as hospital:
            assert hospital.network
            run = Rehearsal(f"sqlite:///{copy}", hospital, forks)
            run.accept(Visit(0, patient=0, like=cell.like))
            run.settle()
            _taken[kind] = hospital.network.seen
    method, path = STEPS[cell.step]
    return 1 + next(place for place, taken in enumerate(_taken[kind]) if taken[0] == method and search(path, taken[1]))


def _outcome(hospital: Ward, ledger: Ledger) -> str:
    if hospital.like == "athena":
        return NOTHING if len(hospital.chart.log) == len(fixed()) else "something was written"
    assert not (ledger.lost or ledger.swapped), ledger
    if ledger.duplicated:
        return DOUBLED
    return HELD if ledger.held else f"stopped: {ledger.stopped['S-R-0']}"


def wrong(found: Iterable[tuple[Cell, str]]) -> list[str]:
    """The cells that came out otherwise than stated."""
    return [f"{cell.fault} at {cell.step} of {cell.like}: {what}, not {stated(cell)}" for cell, what in found if what != stated(cell)]


_at: dict[str, Any] = {}  # of a process that plays cells: its forks, and the empty database all begin with


def _begin(template: Path) -> None:
    stack = ExitStack()
    _at.update(forks=stack.enter_context(forking()), template=template)
    atexit.register(stack.close)


def _come_to(cell: Cell) -> tuple[str, float]:
    """What became of the cell, in this process, and the seconds it took."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fhir-bridge-matrix-") as folder:
        database = shutil.copyfile(_at["template"], Path(folder) / "bridge.sqlite")
        try:
            what = play(cell, _at["forks"], f"sqlite:///{database}", Path(folder))
        except AssertionError as error:
            what = f"failed: {error}"[:200]
    return what, round(time.monotonic() - begun, 1)


def played(report: Path, left: list[Cell], processes: int) -> None:
    """Plays the cells in so many processes; each is put down in the report, a line of JSON, as it ends."""
    with tempfile.TemporaryDirectory() as folder, report.open("a") as lines:
        template = Path(folder) / "template.sqlite"
        store = Store(f"sqlite:///{template}")
        store.upgrade()
        store.close()
        with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (template,)) as pool:
            playing = {pool.submit(_come_to, cell): cell for cell in left}
            for ended in as_completed(playing):
                what, seconds = ended.result()
                print(json.dumps({**asdict(playing[ended]), "what": what, "seconds": seconds}), file=lines, flush=True)
                print(*wrong([(playing[ended], what)]), file=sys.stderr, end="", flush=True)


def told(report: Path) -> dict[Cell, str]:
    """What the report says of the cells there are."""
    lines = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    found = {Cell(line["fault"], line["step"], line["like"]): str(line["what"]) for line in lines}
    return {cell: found[cell] for cell in cells() if cell in found}


def main() -> int:
    """Plays every cell the report has not, prints what is not as stated and how many came out how; 0 when all is as stated."""
    options = argparse.ArgumentParser()
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--report", type=Path, help="a file that keeps each cell: what is there is not played again")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = given.report or Path(folder) / "matrix.jsonl"
        report.parent.mkdir(parents=True, exist_ok=True)
        known = told(report)
        played(report, [cell for cell in cells() if cell not in known], given.processes)
        found = list(told(report).items())
    bad, outcomes = wrong(found), Counter(what for _, what in found)
    print(*bad, *(f"{count:>4} {outcome}" for outcome, count in sorted(outcomes.items())), sep="\n")
    print(f"{len(found)} cells of {len(cells())}, {len(bad)} not as stated")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
