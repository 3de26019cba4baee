"""One worker process: drain what is due, then wait for more, and call the clinic's receivers beside it; asked to stop, finish and return.

Several threads work at once, so that a slow hospital holds up its own patients only. Where the bridge has a dispatch (PostgreSQL)
calls bring the work to them; else they look for it, one at a time.
"""

import logging
import socket
import threading
from os import getpid

from fhir_bridge.store.database import StoreError
from fhir_bridge.store.rows import Lease
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.deliver import answer, take, work_on, work_once
from fhir_bridge.sync.delivery import dispatch
from fhir_bridge.sync.delivery.dispatch import Lane
from fhir_bridge.sync.referrals import fetch, resume, unread
from fhir_bridge.sync.telling import send

log = logging.getLogger(__name__)


class Worker:
    """Delivers for every hospital of the bridge; as many workers as you like may share one database."""

    def __init__(self, bridge: Bridge, *, name: str = "") -> None:
        self._bridge = bridge
        self.name = name or f"{socket.gethostname()}:{getpid()}"
        self._looking = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. A database that cannot be reached is waited for."""
        bridge = self._bridge
        # beside the deliveries: a slow receiver of the clinic's must not hold them up
        telling = threading.Thread(target=send.keep_sending, args=(bridge, self.name, stop), daemon=True)
        telling.start()
        fetching = threading.Thread(target=fetch.keep_fetching, args=(bridge, stop), daemon=True)
        fetching.start()
        if bridge.dispatch:
            bridge.dispatch.run(
                drain=lambda lane: self._answer(lane, stop),
                due=lambda limit: dispatch.due(bridge, limit),
                threads=bridge.worker_threads,
                stop=stop,
            )
        others = [threading.Thread(target=self._look, args=(stop,), daemon=True) for _ in range(1, bridge.worker_threads)]
        for thread in others:
            thread.start()
        self._look(stop)
        for thread in (*others, telling, fetching):
            thread.join()

    def drain(self) -> int:
        """Everything that is due now, once; returns how many lanes were worked on."""
        lanes = 0
        resume.resume_due(self._bridge)
        unread.read_due(self._bridge)
        while fetch.fetch_due(self._bridge):
            pass
        while work_once(self._bridge, worker=self.name):
            lanes += 1
        return lanes

    def _look(self, stop: threading.Event) -> None:
        """Look for work and do it, again and again. Who has found some lets the next one look: an idle worker asks once an interval."""
        while not stop.is_set():
            try:
                with self._looking:
                    if (lease := self._found(stop)) is None:
                        continue
                work_on(self._bridge, lease, stopping=stop.is_set)
            except StoreError as error:
                log.warning("the database refused: %s", error)
                stop.wait(self._bridge.poll_interval_seconds)

    def _found(self, stop: threading.Event) -> Lease | None:
        """A lease; None after an interval without any."""
        lease = None if stop.is_set() else take(self._bridge, worker=self.name)
        if lease is None:
            stop.wait(self._bridge.poll_interval_seconds)
        return lease

    def _answer(self, lane: Lane, stop: threading.Event) -> None:
        try:
            answer(self._bridge, lane, worker=self.name, stopping=stop.is_set)
        except StoreError as error:
            log.warning("the database refused: %s", error)
