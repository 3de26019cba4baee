"""The scheduler: looks again and again what is due, and runs it, several at once. Any number of them may share a database.

A look (`tick`) takes what is due and begins its run in one transaction, so no two schedulers begin the same. Where the bridge has
a dispatch (PostgreSQL), one tick goes to one of all schedulers; else each looks by itself.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial

from fhir_bridge.store import schedule_runs, schedules
from fhir_bridge.store.database import StoreError
from fhir_bridge.store.schedule_runs import Busy, Run, RunLost
from fhir_bridge.store.schedules import Schedule, Wanted
from fhir_bridge.sync import schedule
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Limits, Tell, Work
from fhir_bridge.sync.schedules.works import WORKS

AT_ONCE = 4  # runs one scheduler has in hand
LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class Scheduler:
    """Runs what is due, for every site of the bridge."""

    def __init__(self, bridge: Bridge, *, works: Mapping[str, Work] = WORKS, tell: Tell = lambda _: None) -> None:
        self._bridge = bridge
        self._works = works
        self._tell = tell
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._stop = threading.Event()
        self._runs: list[threading.Thread] = []

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; then the delivery or page in hand is finished, and the runs are written down as stopped."""
        self._stop = stop
        self._patiently(lambda: schedule.rezoned(self._bridge))
        if self._bridge.dispatch:
            self._bridge.dispatch.tick(look=self._look, stop=stop)
        while not stop.is_set():
            self._look()
            stop.wait(LOOK_SECONDS)
        self.wait()

    def tick(self) -> int:
        """Begin what is due now, as far as there is room; how many runs that was. They go on in threads of their own."""
        due, wanted, silent = schedule.due(self._bridge)
        for tenant in silent:
            self._broken_off(tenant)
        begun = [self._begin(partial(self._scheduled, each)) for each in due]
        return sum(begun + [self._begin(partial(self._wanted, each)) for each in wanted])

    def wait(self) -> None:
        """Until the runs in hand have ended."""
        for thread in self._runs:
            thread.join()
        self._runs.clear()

    def _look(self) -> None:
        self._patiently(self.tick)

    def _patiently(self, act: Callable[[], object]) -> None:
        try:
            act()
        except StoreError as error:
            log.warning("the database refused: %s", error)

    def _begin(self, take: Callable[[], Callable[[], None] | None]) -> int:
        """Take what is due and run it in a thread. What is taken already, or under way, is left: the latter stays due."""
        if not self._slots.acquire(blocking=False):
            return 0
        work = None
        try:
            work = take()
        except Busy as busy:
            log.info("%s", busy)
        finally:
            if work is None:
                self._slots.release()
        if work is None:
            return 0
        thread = threading.Thread(target=self._guarded, args=(work,))
        self._runs = [each for each in self._runs if each.is_alive()] + [thread]
        thread.start()
        return 1

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except RunLost as lost:
            log.warning("%s", lost)
        except StoreError as error:
            log.warning("a run could not be written down to its end: %s", error)
        finally:
            self._slots.release()

    def _scheduled(self, due: Schedule) -> Callable[[], None] | None:
        begun = schedule.take(self._bridge, due)
        if begun is None:
            return None
        return lambda: self._told(self._carried_out(begun, Limits(older_than=due.older_than)))

    def _wanted(self, pulls: Wanted) -> Callable[[], None]:
        begun, put_off = schedule.take_wanted(self._bridge, pulls)

        def work() -> None:
            ended = self._carried_out(begun, Limits(types=tuple(type for type, _ in pulls.types)))
            if ended.outcome == "done":
                with self._bridge.store.transaction() as tx:
                    schedules.fulfilled(tx, put_off)
            self._told(ended)

        return work

    def _carried_out(self, begun: Run, limits: Limits) -> Run:
        missed = f", for {begun.missed} missed ones too" if begun.missed else ""
        self._tell(f"run {begun.number} begins: {begun.what}, {begun.schedule or begun.actor}{missed}")
        return run.carry_out(self._bridge, begun, self._works, limits=limits, stopping=self._stop.is_set)

    def _told(self, ended: Run) -> None:
        counts = ", ".join(f"{count} {name}" for name, count in run.totals(ended).items()) or "nothing to do"
        self._tell(f"run {ended.number} ended: {ended.outcome}, {counts}")
        for error in run.errors(ended):
            self._tell(f"run {ended.number}: {error}")

    def _broken_off(self, tenant: str) -> None:
        with self._bridge.store.transaction() as tx:
            schedule_runs.hold(tx, tenant)
            count = schedule_runs.break_off(tx, tenant, tx.now)
        if count:
            self._tell(f"{count} run(s) of {tenant} gave no sign of life and are written down as broken off")
