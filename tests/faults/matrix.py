"""The fault matrix: every fault × every step of a delivery × every hospital, each cell with its stated outcome.

`make chaos-matrix` plays all of it; the suite plays a sample of it (`sample`).
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rehearsal import Forks, Rehearsal, forking, ward

from fhir_bridge.sandbox.faults import KINDS, Failure
from fhir_bridge.sandbox.traffic import Visit, fixed
from fhir_bridge.store.database import Store

FAULTS = tuple(sorted(KINDS))
HOSPITALS = ("hapi", "epic", "oracle", "athena")
# step → how its request is known: method and path
STEPS = {
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
    "hapi": {"metadata", "transaction"},
    "epic": {"metadata", "look", "patient search", "patient write", "write", "read"},
    "oracle": {"metadata", "look", "patient search", "patient write", "write", "batch", "read"},
    "athena": {"metadata"},
}
_KIND = {"look": "search", "patient search": "search", "metadata": "read", "read": "read"}
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
    """Few cells in which each fault meets each hospital and each kind of step (write, search, other read), and each step each hospital."""
    left = {pair for cell in cells() for pair in _pairs(cell)}
    chosen = []
    for cell in sorted(cells(), key=lambda cell: (FAULTS.index(cell.fault) * 7 + tuple(STEPS).index(cell.step) * 3) % 11):
        if new := left.intersection(_pairs(cell)):
            chosen.append(cell)
            left -= new
    return chosen


def _pairs(cell: Cell) -> list[tuple[str, str]]:
    return [(cell.fault, cell.like), (cell.step, cell.like), (cell.fault, _KIND.get(cell.step, "write"))]


def stated(cell: Cell) -> str:
    """What must become of the record: it is held, or a person is shown it and why."""
    if cell.like == "athena":
        return NOTHING
    writes = cell.step in WRITES
    if writes and cell.fault == "redirect":
        return "stopped: redirected"
    if writes and cell.fault == "twice" and cell.step != "transaction" and cell.step != "patient write":
        return DOUBLED
    return HELD


def play(cell: Cell, forks: Forks, database: str) -> str:
    """What became of the record; the fault is known to have met its request."""
    method, path = STEPS[cell.step]
    with ward(cell.like) as hospital:
        run = Rehearsal(database, hospital, forks)
        run.accept(Visit(0, patient=0, like=cell.like))
        seconds = {"drip": 0.05}.get(cell.fault, 0.8)
        hospital.faults.add(Failure(kind=cell.fault, method=method, path=path, seconds=seconds, retry_after="20"))
        run.settle(deadline=0.4)
        assert hospital.faults.spoilt == {cell.fault: 1}, f"{cell} was not met"
        ledger = run.ledger()
    if cell.like == "athena":
        return NOTHING if len(hospital.chart.log) == len(fixed()) else "something was written"
    assert not (ledger.lost or ledger.swapped), ledger
    if ledger.duplicated:
        return DOUBLED
    return HELD if ledger.held else f"stopped: {ledger.stopped['S-R-0']}"


def wrong(found: Iterable[tuple[Cell, str]]) -> list[str]:
    """The cells that came out otherwise than stated."""
    return [f"{cell.fault} at {cell.step} of {cell.like}: {what}, not {stated(cell)}" for cell, what in found if what != stated(cell)]


def main() -> int:
    """Plays every cell, prints what is not as stated and how many came out how; 0 when all is as stated."""
    folder = Path(tempfile.mkdtemp(prefix="fhir-bridge-matrix-"))
    template = folder / "template.sqlite"
    store = Store(f"sqlite:///{template}")
    store.upgrade()
    store.close()
    found: list[tuple[Cell, str]] = []
    with forking() as forks:
        for number, cell in enumerate(cells()):
            database = shutil.copyfile(template, folder / f"{number}.sqlite")
            try:
                found.append((cell, play(cell, forks, f"sqlite:///{database}")))
            except AssertionError as error:
                found.append((cell, f"failed: {error}"[:200]))
            database.unlink()
    shutil.rmtree(folder)
    bad = wrong(found)
    outcomes = sorted({what for _, what in found})
    print(*bad, *(f"{sum(what == outcome for _, what in found):>4} {outcome}" for outcome in outcomes), sep="\n")
    print(f"{len(found)} cells, {len(bad)} not as stated")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
