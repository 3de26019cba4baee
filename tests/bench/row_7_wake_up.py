"""From an accepted session to the first byte at the hospital, with a worker that had nothing to do."""

import statistics
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sync.worker import Worker

from .bridges import bridge, fresh, post
from .measure import Row

TRIALS = 9


class _Door:
    """The hospital's app, and when a Bundle was last at its door."""

    def __init__(self) -> None:
        self._app = create_app(load("hapi"))
        self.knocked = threading.Event()
        self.at = 0.0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST" and not self.knocked.is_set():
            self.at = time.perf_counter()
            self.knocked.set()
        return self._app(environ, start_response)


def _ratio() -> float:
    door, stop = _Door(), threading.Event()
    with running(door) as hospital, bridge(hospital.base_url) as made:
        thread = threading.Thread(target=Worker(made, name="bench").run, args=(stop,))
        thread.start()
        try:
            return statistics.median(_seconds(made, door) for _ in range(TRIALS)) / 0.3
        finally:
            stop.set()
            thread.join()


def _seconds(made: Any, door: _Door) -> float:
    time.sleep(0.7)  # what was sent before is delivered, and the worker idle again
    body = fresh()
    door.knocked.clear()
    post(made, body)
    accepted = time.perf_counter()
    door.knocked.wait(10)
    return door.at - accepted


ROW = Row("from accepted to the first byte out, idle ÷ 300 ms", 1.0, "lower", _ratio)
