"""A sample of the fault matrix: each cell comes out as stated. `make chaos-matrix` plays all of it."""

import matrix
import pytest
from matrix import Cell, cells, sample, stated
from rehearsal import Forks


@pytest.mark.parametrize("cell", sample(), ids=lambda cell: f"{cell.fault}-{cell.step}-{cell.like}".replace(" ", "-"))
def test_a_fault_at_a_step_ends_as_stated(forks: Forks, sqlite_url: str, cell: Cell) -> None:
    assert matrix.play(cell, forks, sqlite_url) == stated(cell)


def test_the_sample_has_each_fault_and_each_step_at_each_hospital_where_they_occur() -> None:
    for pair in ("fault", "step"):
        assert {(getattr(cell, pair), cell.like) for cell in sample()} == {(getattr(cell, pair), cell.like) for cell in cells()}
