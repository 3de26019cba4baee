"""A sample of the fault matrix: each cell comes out as stated. `make chaos-matrix` plays all of it."""

from itertools import combinations
from pathlib import Path

import matrix
import pytest
from matrix import Cell, cells, sample, stated
from rehearsal import Forks


@pytest.mark.parametrize("cell", sample(), ids=lambda cell: f"{cell.fault}-{cell.step}-{cell.like}".replace(" ", "-"))
def test_a_fault_at_a_step_ends_as_stated(forks: Forks, sqlite_url: str, tmp_path: Path, cell: Cell) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    assert matrix.play(cell, forks, sqlite_url, folder) == stated(cell)


@pytest.mark.parametrize("pair", list(combinations(("fault", "step", "like"), 2)), ids=" × ".join)
def test_in_the_sample_every_two_of_fault_step_and_hospital_meet_that_can(pair: tuple[str, str]) -> None:
    met, possible = ({tuple(getattr(cell, name) for name in pair) for cell in found} for found in (sample(), cells()))
    assert met == possible
