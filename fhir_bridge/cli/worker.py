"""`fhir-bridge worker`: delivers until it is told to stop, then finishes the call it is in and goes."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import say
from fhir_bridge.settings import Settings
from fhir_bridge.sync.worker import Worker


@click.command("worker")
def command() -> None:
    """Deliver what was accepted until stopped (SIGTERM or Ctrl-C): no new delivery is begun, the one in hand is finished."""
    settings = Settings.from_environ()
    bootstrap.prepare(settings)
    stop = threading.Event()
    say("Worker started")
    run_until_stopped(lambda: Worker(bootstrap.staying(settings)).run(stop), stop=stop.set)
    say("Worker stopped")


def run_until_stopped(run: Callable[[], object], *, stop: Callable[[], None]) -> None:
    """Run `run` in a thread; on SIGTERM or SIGINT call `stop`, and return when `run` has. What `run` raised is raised here."""
    asked: list[int] = []
    failure: list[BaseException] = []

    def watched() -> None:
        try:
            run()
        except BaseException as error:
            failure.append(error)

    def on_signal(signum: int, frame: FrameType | None) -> None:
        asked.append(signum)  # nothing that takes a lock: the main thread may hold it right now

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    thread = threading.Thread(target=watched)
    thread.start()
    while thread.is_alive() and not asked:
        thread.join(0.1)
    stop()
    thread.join()
    if failure:
        raise failure[0]
