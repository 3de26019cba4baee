"""Delivering to a real HAPI: sessions a second, over those of a bare loop posting the same ready-made bundles over as many connections.

The loop makes the very requests the bridge makes, so that the hospital has the same to do: it is asked to show what it stored, which is
how the bridge knows what was kept. `row_10_unasked` is the ratio to a loop that does not ask.
"""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import requests

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.hospital import wire
from fhir_bridge.hospital.capabilities import read
from fhir_bridge.hospital.exchange import FHIR_JSON
from fhir_bridge.hospital.plan import plan
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.convert import summed_up
from fhir_bridge.sync.worker import Worker

from .bridges import bridge, fresh, post
from .measure import NotMeasured, Row

sys.path.append(str(Path(__file__).parents[1]))

CONNECTIONS = 4  # what one worker opens, as it is set up unless told otherwise
SESSIONS, ROUNDS = 16, 7
Sessions = list[requests.Session]


def ratio(*, asking: bool) -> float:
    """Our rate over the bare loop's, which asks the hospital to show what it stored, or does not."""
    from servers import Unavailable, hapi

    try:
        with hapi() as base_url, bridge(base_url) as made, ExitStack() as stack:
            sessions = [stack.enter_context(requests.Session()) for _ in range(CONNECTIONS)]
            for session in sessions:
                session.headers.update({"Content-Type": FHIR_JSON, **({"Accept": FHIR_JSON, **wire.PREFER} if asking else {})})
            statement = requests.get(f"{base_url}/metadata", timeout=60).json()
            _ours(made), _theirs(made, sessions, statement)  # a Java server is slow at first
            return statistics.median(_round(made, sessions, statement, number) for number in range(ROUNDS))
    except Unavailable as reason:
        raise NotMeasured(str(reason)) from None


def _round(made: Bridge, sessions: Sessions, statement: dict[str, object], number: int) -> float:
    """The bare loop's seconds over ours, which is our rate over its."""
    if number % 2:
        own = _ours(made)
        return _theirs(made, sessions, statement) / own
    other = _theirs(made, sessions, statement)
    return other / _ours(made)


def _ours(made: Bridge) -> float:
    for _ in range(SESSIONS):
        post(made, fresh())
    worker = Worker(made, name="bench")
    return _seconds([worker.drain] * CONNECTIONS)


def _theirs(made: Bridge, sessions: Sessions, statement: dict[str, object]) -> float:
    base_url = made.hospitals["general"].client.base
    waiting = iter([_bundles(made, statement) for _ in range(SESSIONS)])
    return _seconds([partial(_post_all, session, base_url, waiting) for session in sessions])


def _post_all(session: requests.Session, base_url: str, waiting: Iterator[list[bytes]]) -> None:
    """Takes one session's bundles after the other, until none is left."""
    for bodies in waiting:
        for body in bodies:
            reply = session.post(base_url, data=body, timeout=60)
            reply.raise_for_status()
            reply.content  # noqa: B018  # the whole answer has to come


def _seconds(tasks: list[Callable[[], object]]) -> float:
    """How long the tasks take, each in a thread of its own."""
    threads = [threading.Thread(target=task) for task in tasks]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def _bundles(made: Bridge, statement: dict[str, object]) -> list[bytes]:
    """The same calls the bridge makes for one session, made before the clock starts."""
    mapping = made.sites["default"].mapping
    record = summed_up(mapping, records.load("session", documents.loads(fresh()), zone=None))
    planned = plan(read(statement), mapping.to_fhir(record).resources, {})
    known: dict[str, str] = {}
    bodies = []
    for step in planned.steps:
        assert step.rung == "transaction", "all of a session goes in bundles to HAPI"
        bodies.append(documents.dumps(wire.call_of(step, known).body))
        known |= {key: key for key in step.keys}
    return bodies


ROW = Row("deliver to HAPI: rate ÷ a bare loop's", 0.9, "higher", partial(ratio, asking=True))
