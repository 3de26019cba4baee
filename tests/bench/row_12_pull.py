"""Pulling 10 000 changed resources of ours from a real HAPI: their rate over that of a bare loop that reads the same pages.

What changed is what a hospital's server mostly changes by itself: each of 10 000 Observations has a new version with a tag of the
hospital's. The bridge finds each by its link, reads back that it says the same to the clinic as before, and stores what it saw and
how far it has read. The bare loop follows the next links of the same history, with the same page size, and keeps nothing.
"""

import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from fhir_bridge import documents
from fhir_bridge.store import pulls
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pull import pull
from fhir_bridge.sync.pulling.crawl import address
from fhir_bridge.sync.pulling.run import PAGE_SIZE
from fhir_bridge.sync.worker import Worker

from .bridges import bridge, fresh, post
from .measure import NotMeasured, Row

sys.path.append(str(Path(__file__).parents[1]))

CHANGED, AT_ONCE, ROUNDS = 10_000, 100, 3
TYPE = "Observation"
NO_OVERLAP = timedelta(0)  # so that both read the 10 000 changes, and not our own writes of the last ten minutes as well
HEADERS = {"Content-Type": "application/fhir+json"}


def _ratio() -> float:
    from servers import Unavailable, hapi

    try:
        with hapi() as base_url, bridge(base_url) as made, requests.Session() as session:
            held = _delivered(made)
            _pulled(made)  # our own writes are known, and the watermark stands behind them
            _tag(session, base_url, held)
            first = f"{base_url}/{_window(made)}"
            return statistics.median(_round(made, session, first, number) for number in range(ROUNDS))
    except Unavailable as reason:
        raise NotMeasured(str(reason)) from None


def _delivered(made: Bridge) -> list[str]:
    """Sessions with 10 000 Observations are at the hospital; its `Type/id` of those."""
    held: list[str] = []
    while len(held) < CHANGED:
        for _ in range(10):
            post(made, fresh())
        Worker(made, name="bench").drain()
        with made.store.reading() as tx:
            held = pulls.linked(tx, pulls.of(tx, "default", "general", TYPE), TYPE)
    return held[:CHANGED]


def _tag(session: requests.Session, base_url: str, held: list[str]) -> None:
    """The hospital marks each for itself: a new version, with the same to say."""
    time.sleep(1.1)  # the window begins at a whole second
    meta = {"meta": {"tag": [{"system": "https://hospital.example/filed", "code": "ward-7"}]}}
    for start in range(0, len(held), AT_ONCE):
        reads = [{"request": {"method": "GET", "url": each}} for each in held[start : start + AT_ONCE]]
        found = _bundle(session, base_url, "batch", reads)
        writes = [
            {"resource": entry["resource"] | meta, "request": {"method": "PUT", "url": each}}
            for entry, each in zip(found["entry"], held[start:], strict=False)
        ]
        _bundle(session, base_url, "transaction", writes)


def _bundle(session: requests.Session, base_url: str, kind: str, entries: list[dict[str, Any]]) -> Any:
    body = documents.dumps({"resourceType": "Bundle", "type": kind, "entry": entries})
    reply = session.post(base_url, data=body, headers=HEADERS, timeout=120)
    reply.raise_for_status()
    return documents.loads(reply.content, max_bytes=len(reply.content))


def _round(made: Bridge, session: requests.Session, first: str, number: int) -> float:
    """The bare loop's seconds over ours, which is our rate over its; who goes first changes."""
    with _copied(made, number) as copy:
        if number % 2:
            own = _pulled(copy, CHANGED)
            return _bare(session, first) / own
        other = _bare(session, first)
        return other / _pulled(copy, CHANGED)


def _pulled(made: Bridge, changed: int = 0) -> float:
    start = time.perf_counter()
    found = pull(made, tenant="default", hospital="general", types=(TYPE,), overlap=NO_OVERLAP)
    seconds = time.perf_counter() - start
    assert found.whole and found.counts.get("changed", 0) == changed, found
    return seconds


def _window(made: Bridge) -> str:
    """The first page's path, as the pull will ask for it."""
    with made.store.reading() as tx:
        since = pulls.of(tx, "default", "general", TYPE).watermark
    assert since is not None
    return address(TYPE, "history", since=since, count=PAGE_SIZE)


def _bare(session: requests.Session, first: str) -> float:
    following: str | None = first
    start, seen = time.perf_counter(), 0
    while following:
        page = session.get(following, headers={"Cache-Control": "no-cache"}, timeout=120).json()
        seen += len(page.get("entry", []))
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    assert seen >= CHANGED, seen
    return time.perf_counter() - start


@contextmanager
def _copied(made: Bridge, number: int) -> Iterator[Bridge]:
    """The same bridge as it stood before the changes were read."""
    with made.store.reading() as tx:
        file = Path(str(tx.connection.engine.url.database))
    copy = shutil.copyfile(file, file.with_name(f"round-{number}.sqlite"))
    store = Store(f"sqlite:///{copy}")
    yield replace(made, store=store)
    store.close()


ROW = Row("pull 10 000 changed resources from HAPI: rate ÷ a bare paging loop's", 0.8, "higher", _ratio)
