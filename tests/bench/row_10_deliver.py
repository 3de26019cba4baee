"""Delivering to a real HAPI: sessions a second, over those of a bare loop that posts the same, ready-made bundles over one connection."""

import statistics
import sys
import time
from pathlib import Path

import requests

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.hospital import wire
from fhir_bridge.hospital.capabilities import read
from fhir_bridge.hospital.plan import plan
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.worker import Worker

from .bridges import bridge, fresh, post
from .measure import NotMeasured, Row

sys.path.append(str(Path(__file__).parents[1]))

SESSIONS, ROUNDS = 3, 7


def _ratio() -> float:
    from servers import Unavailable, hapi

    try:
        with hapi() as base_url, bridge(base_url) as made, requests.Session() as session:
            statement = requests.get(f"{base_url}/metadata", timeout=60).json()
            _ours(made), _theirs(made, session, statement)  # a Java server is slow at first
            return statistics.median(_round(made, session, statement, number) for number in range(ROUNDS))
    except Unavailable as reason:
        raise NotMeasured(str(reason)) from None


def _round(made: Bridge, session: requests.Session, statement: dict[str, object], number: int) -> float:
    """The bare loop's seconds over ours, which is our rate over its."""
    if number % 2:
        own = _ours(made)
        return _theirs(made, session, statement) / own
    other = _theirs(made, session, statement)
    return other / _ours(made)


def _ours(made: Bridge) -> float:
    for _ in range(SESSIONS):
        post(made, fresh())
    start = time.perf_counter()
    Worker(made, name="bench").drain()
    return time.perf_counter() - start


def _theirs(made: Bridge, session: requests.Session, statement: dict[str, object]) -> float:
    base_url = made.hospitals["general"].client.base
    bodies = [body for _ in range(SESSIONS) for body in _bundles(made, statement)]
    start = time.perf_counter()
    for body in bodies:
        reply = session.post(base_url, data=body, headers={"Content-Type": "application/fhir+json"}, timeout=60)
        reply.raise_for_status()
        reply.content  # noqa: B018  # the whole answer has to come
    return time.perf_counter() - start


def _bundles(made: Bridge, statement: dict[str, object]) -> list[bytes]:
    """The same calls the bridge makes for one session, made before the clock starts."""
    record = records.load("session", documents.loads(fresh()), zone=None)
    planned = plan(read(statement), made.sites["default"].mapping.to_fhir(record).resources, {})
    known: dict[str, str] = {}
    bodies = []
    for step in planned.steps:
        assert step.rung == "transaction", "all of a session goes in bundles to HAPI"
        bodies.append(documents.dumps(wire.call_of(step, known).body))
        known |= {key: key for key in step.keys}
    return bodies


ROW = Row("deliver to HAPI: rate ÷ a bare loop's", 0.9, "higher", _ratio)
