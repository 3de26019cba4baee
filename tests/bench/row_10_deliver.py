"""Delivering to a real HAPI: sessions a second, over those of a bare loop posting the same ready-made bundles over as many connections.

A hospital's server has a machine of its own. So HAPI runs on half of the processors, and whoever calls it, the bridge or the loop, on
the others. `row_10_shared` lets all of them run on all processors: there every cycle of ours is taken from the hospital.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
SESSIONS, ROUNDS = 8, 9
# Java as it comes, with both its compilers, as a hospital's server runs; a HAPI whose memory the sessions fill collects garbage in pauses
# of a second, in anybody's round
JAVA = ("-Xmx4g",)
WARM = 3  # rounds: a Java server is slow at first
Sessions = list[requests.Session]


def ratio(*, apart: bool) -> float:
    """Our rate over the bare loop's, with the hospital on processors of its own (`apart`) or not."""
    from servers import Unavailable, hapi

    try:
        with _processors(apart=apart) as (theirs, ours), ExitStack() as stack:
            os.sched_setaffinity(0, theirs)  # what is started now stays there
            base_url = stack.enter_context(hapi(java=JAVA))
            os.sched_setaffinity(0, ours)
            made = stack.enter_context(bridge(base_url))
            sessions = [stack.enter_context(requests.Session()) for _ in range(CONNECTIONS)]
            statement = requests.get(f"{base_url}/metadata", timeout=60).json()
            rounds = [_round(made, sessions, statement, number) for number in range(WARM + ROUNDS)][WARM:]
    except Unavailable as reason:
        raise NotMeasured(str(reason)) from None
    own, other = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))  # a round is long, and Java's pauses fall anywhere
    return other / own


@contextmanager
def _processors(*, apart: bool) -> Iterator[tuple[set[int], set[int]]]:
    """The hospital's, and ours."""
    all_ = os.sched_getaffinity(0)
    if apart and len(all_) < 2:
        raise NotMeasured("one processor cannot be shared out")
    half = set(sorted(all_)[len(all_) // 2 :])
    try:
        yield (half, all_ - half) if apart else (all_, all_)
    finally:
        os.sched_setaffinity(0, all_)


def _round(made: Bridge, sessions: Sessions, statement: dict[str, object], number: int) -> tuple[float, float]:
    """Our seconds and the bare loop's."""
    if number % 2:
        own = _ours(made)
        return own, _theirs(made, sessions, statement)
    other = _theirs(made, sessions, statement)
    return _ours(made), other


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
            reply = session.post(base_url, data=body, headers={"Content-Type": FHIR_JSON}, timeout=60)
            reply.raise_for_status()
            reply.content  # noqa: B018  # the whole answer has to come


def _seconds(tasks: list[Callable[[], object]]) -> float:
    """How long the tasks take, each in a thread of its own. Raises what one of them raises."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        start = time.perf_counter()
        for done in [pool.submit(task) for task in tasks]:
            done.result()
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


ROW = Row("deliver to HAPI: rate ÷ a bare loop's", 0.9, "higher", partial(ratio, apart=True))
