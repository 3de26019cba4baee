"""One run of a sync, whoever asked for it: its parts one after the other, its history, its sign of life, its end.

A part is one kind of work at one hospital. A hospital that fails ends its part, never the run. What each kind of work does is in
`sync.schedules.works`; that two runs do not do the same at once is in `store.schedule_runs`.
"""

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import getpid
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError
from fhir_bridge.faults import fault_point
from fhir_bridge.store import schedule_runs
from fhir_bridge.store.database import StoreError
from fhir_bridge.store.schedule_runs import Order, Run, RunLost
from fhir_bridge.sync.bridge import Bridge

log = logging.getLogger(__name__)

Tell = Callable[[str], object]
Stopping = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Leg:
    """A part that is to be done: `work` at `hospital` (empty where it concerns none), of `types` only when some are named."""

    bridge: Bridge
    run: Run
    work: str
    hospital: str
    tell: Tell
    stopping: Stopping
    types: tuple[str, ...] = ()
    older_than: int | None = None

    @property
    def worker(self) -> str:
        return f"{self.run.worker}/run-{self.run.number}"


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a leg: counts by their names (`delivered`, `pulled` …), and why it failed, when it did. No patient data."""

    work: str
    hospital: str
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None

    def data(self) -> dict[str, Any]:
        told: dict[str, Any] = {"work": self.work, "hospital": self.hospital, "counts": dict(self.counts)}
        return told | ({"error": self.error} if self.error else {})


class PartFailed(BridgeError):
    """A leg ended before its end; `counts` is what it did until then. The message goes into the history: no patient data."""

    def __init__(self, why: str, counts: Mapping[str, int] | None = None) -> None:
        self.counts = counts or {}
        super().__init__(why)


Work = Callable[[Leg], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run is narrowed to: the types a pull reads (empty: all), and the age in days from which the archive takes."""

    types: tuple[str, ...] = ()
    older_than: int | None = None


def worker_name() -> str:
    return f"{socket.gethostname()}:{getpid()}"


def begin(bridge: Bridge, order: Order) -> Run:
    """Write down that the run begins. Raises `schedule_runs.Busy`."""
    with bridge.store.transaction() as tx:
        return schedule_runs.begin(tx, order, worker=worker_name(), seconds=bridge.lease_seconds)


def carry_out(
    bridge: Bridge, run: Run, works: Mapping[str, Work], *, limits: Limits, tell: Tell = lambda _: None, stopping: Stopping = lambda: False
) -> Run:
    """Do all of `run`, which has begun; returns it as it ended. Raises `RunLost` when it was taken for dead meanwhile."""
    fault_point("S1")
    legs = [(work, hospital) for work in schedule_runs.WORKS[run.what] for hospital in run.hospitals or ("",)]
    parts: list[Part] = []
    with _alive(bridge, run) as lost:
        for work, hospital in legs:
            if stopping() or lost():
                break
            leg = Leg(bridge, run, work, hospital, tell, lambda: stopping() or lost(), limits.types, limits.older_than)
            parts.append(_done(leg, works))
            fault_point("S2")
            with bridge.store.transaction() as tx:
                schedule_runs.renew(tx, run, seconds=bridge.lease_seconds, report=_report(parts))
    fault_point("S3")
    return _ended(bridge, run, parts, stopped=stopping())


def totals(run: Run) -> dict[str, int]:
    """The counts of all the run's parts together."""
    total: Counter[str] = Counter()
    for part in documents.loads(run.report):
        total.update(part["counts"])
    return dict(total)


def errors(run: Run) -> list[str]:
    """Each part that failed, and why, in a sentence."""
    return [f"{part['work']} {part['hospital']}: {part['error']}" for part in documents.loads(run.report) if "error" in part]


def _done(leg: Leg, works: Mapping[str, Work]) -> Part:
    try:
        if (work := works.get(leg.work)) is None:
            raise PartFailed("this version cannot do that")
        return Part(leg.work, leg.hospital, {name: count for name, count in work(leg).items() if count})
    except RunLost:
        raise
    except PartFailed as failed:
        return Part(leg.work, leg.hospital, failed.counts, str(failed))
    except BridgeError as error:
        return Part(leg.work, leg.hospital, error=str(error))
    except Exception as error:  # one hospital's part must not end the others'; its text may hold what it was given
        log.exception("run %s: %s at %s failed", leg.run.number, leg.work, leg.hospital)
        return Part(leg.work, leg.hospital, error=f"the bridge itself failed: {type(error).__name__}")


def _ended(bridge: Bridge, run: Run, parts: list[Part], *, stopped: bool) -> Run:
    outcome = "stopped" if stopped else "failed" if any(part.error for part in parts) else "done"
    with bridge.store.transaction() as tx:
        schedule_runs.end(tx, run, outcome=outcome, report=_report(parts))
        found = schedule_runs.one(tx, run.tenant, run.number)
    assert found is not None, "it was just written"  # noqa: S101
    return found


def _report(parts: list[Part]) -> bytes:
    return documents.dumps([part.data() for part in parts])


@contextmanager
def _alive(bridge: Bridge, run: Run) -> Iterator[Callable[[], bool]]:
    """Says that the run lives, from a thread of its own, as long as the block runs; what it gives tells that the run was lost."""
    over, lost = threading.Event(), threading.Event()

    def beat() -> None:
        while not over.wait(bridge.lease_seconds / 3):
            try:
                with bridge.store.transaction() as tx:
                    schedule_runs.renew(tx, run, seconds=bridge.lease_seconds)
            except RunLost:
                lost.set()
                return
            except StoreError as error:
                log.warning("run %s could not say that it lives: %s", run.number, error)

    beating = threading.Thread(target=beat, name=f"run-{run.number}", daemon=True)
    beating.start()
    try:
        yield lost.is_set
    finally:
        over.set()
        beating.join()
