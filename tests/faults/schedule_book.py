"""The judge of a schedule's history: no run overlaps another of the same work, and every due time is answered by exactly one run."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import combinations

from fhir_bridge.store.schedule_runs import Run
from fhir_bridge.sync.schedules.times import due_times


def faults(runs: Sequence[Run], *, cron: str, zone: tzinfo, begun: datetime, now: datetime) -> list[str]:
    """What is wrong with `runs`, the whole history of one schedule that was added at `begun`, when it is `now`.

    A run answers its due time and the `missed` ones after it. A due time after the last run may wait while a run is under way.
    """
    ordered = sorted(runs, key=lambda run: run.number)
    wrong = [
        f"runs {one.number} and {other.number} overlap"
        for one, other in combinations(ordered, 2)
        if one.work & other.work and _within(one, other, now)
    ]
    expected = due_times(cron, zone, begun)
    for run in ordered:
        answered = [next(expected) for _ in range(1 + run.missed)]
        if run.due_at != answered[0]:
            wrong.append(f"run {run.number} answers {run.due_at}, and the next due time was {answered[0]}")
            return wrong
        if run.started_at < answered[-1]:
            wrong.append(f"run {run.number} began before {answered[-1]}, which it answers")
    waiting = next(expected)
    if ordered and ordered[-1].ended_at and waiting <= ordered[-1].started_at:
        wrong.append(f"{waiting} had come when run {ordered[-1].number} began, and nothing answers it")
    return wrong


def _within(one: Run, other: Run, now: datetime) -> bool:
    return one.started_at < (other.ended_at or now) and other.started_at < (one.ended_at or now)
