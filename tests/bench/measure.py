"""Ratios that a busy machine cannot bend: both sides run in turn, many short rounds, and the median of the rounds' ratios counts."""

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


class NotMeasured(Exception):
    """This machine lacks what the row needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the bench. `ratio` is measured when called; `better` says on which side of `bar` it has to stay, if there is one."""

    name: str
    bar: float | None
    better: str  # lower | higher
    ratio: Callable[[], float]

    def holds(self, ratio: float) -> bool:
        if self.bar is None:
            return True
        return ratio <= self.bar if self.better == "lower" else ratio >= self.bar

    def said(self, ratio: float) -> str:
        """The line that is printed."""
        if self.bar is None:
            return f"told   {ratio:8.2f}          {self.name}"
        sign = "≤" if self.better == "lower" else "≥"
        return f"{'ok    ' if self.holds(ratio) else 'MISSED'} {ratio:8.2f}  {sign} {self.bar:<5g} {self.name}"


def ratio(
    ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = 61, seconds: float = 0.02, units: tuple[int, int] = (1, 1)
) -> float:
    """Time of `ours` over time of `theirs`, each for one unit of its work; the median over interleaved rounds of about `seconds` each."""
    repeats = (_repeats(ours, seconds), _repeats(theirs, seconds))
    found = []
    for index in range(rounds):
        if index % 2:  # who goes first changes: a machine that slows down or speeds up favours neither
            other = _seconds(theirs, repeats[1])
            own = _seconds(ours, repeats[0])
        else:
            own = _seconds(ours, repeats[0])
            other = _seconds(theirs, repeats[1])
        found.append((own / units[0]) / (other / units[1]))
    return statistics.median(found)


def _repeats(work: Callable[[], object], seconds: float) -> int:
    work()  # what is made at first use is made here
    return max(1, round(seconds / max(min(_seconds(work, 1) for _ in range(5)), 1e-6)))


def _seconds(work: Callable[[], object], repeats: int) -> float:
    gc.collect()
    gc.disable()
    try:
        start = perf_counter()
        for _ in range(repeats):
            work()
        return (perf_counter() - start) / repeats
    finally:
        gc.enable()
