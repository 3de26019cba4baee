"""The clock of a rehearsal: a day passes in minutes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fhir_bridge.clock import utc_now

TICK = 0.01  # seconds


@dataclass
class FastClock:
    """Time that can be put forward, and goes `speed` times as fast as the machine's while it is `running`."""

    speed: float
    began: datetime = field(default_factory=utc_now)
    _started: float = field(default_factory=time.monotonic)
    _ahead: float = 0

    def __call__(self) -> datetime:
        return self.began + timedelta(seconds=time.monotonic() - self._started + self._ahead)

    def forward(self, seconds: float) -> None:
        """Skips so many of its seconds: nothing was due in them."""
        self._ahead += seconds

    @contextmanager
    def running(self, *, unless: Callable[[], bool]) -> Iterator[None]:
        """It goes fast while the block lasts, except in the moments in which `unless`."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(unless, stop), name="clock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _run(self, unless: Callable[[], bool], stop: threading.Event) -> None:
        while not stop.wait(TICK):
            if not unless():
                self.forward(TICK * self.speed)
