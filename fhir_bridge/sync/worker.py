"""One worker process: drain what is due, then wait for more, and call the clinic's receivers beside it; asked to stop, finish and return.

Where the bridge has a dispatch (PostgreSQL), calls bring the work, to several threads; else a loop looks for it.
"""

import logging
import socket
import threading
from os import getpid

from fhir_bridge.store.database import StoreError
from fhir_bridge.sync import dispatch, refer_fetch, webhooks_send
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.deliver import answer, work_once
from fhir_bridge.sync.dispatch import Lane

log = logging.getLogger(__name__)


class Worker:
    """Delivers for every hospital of the bridge; as many workers as you like may share one database."""

    def __init__(self, bridge: Bridge, *, name: str = "") -> None:
        self._bridge = bridge
        self.name = name or f"{socket.gethostname()}:{getpid()}"

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. A database that cannot be reached is waited for."""
        bridge = self._bridge
        # beside the deliveries: a slow receiver of the clinic's must not hold them up
        telling = threading.Thread(target=webhooks_send.keep_sending, args=(bridge, self.name, stop), daemon=True)
        telling.start()
        fetching = threading.Thread(target=refer_fetch.keep_fetching, args=(bridge, stop), daemon=True)
        fetching.start()
        if bridge.dispatch:
            bridge.dispatch.run(
                drain=lambda lane: self._answer(lane, stop),
                due=lambda limit: dispatch.due(bridge, limit),
                threads=bridge.worker_threads,
                stop=stop,
            )
        while not stop.is_set():
            if not self._work(stop):
                stop.wait(self._bridge.poll_interval_seconds)
        telling.join()
        fetching.join()

    def drain(self) -> int:
        """Everything that is due now, once; returns how many lanes were worked on."""
        lanes = 0
        while refer_fetch.fetch_due(self._bridge):
            pass
        while work_once(self._bridge, worker=self.name):
            lanes += 1
        return lanes

    def _work(self, stop: threading.Event) -> bool:
        try:
            return work_once(self._bridge, worker=self.name, stopping=stop.is_set)
        except StoreError as error:
            log.warning("the database refused: %s", error)
            return False

    def _answer(self, lane: Lane, stop: threading.Event) -> None:
        try:
            answer(self._bridge, lane, worker=self.name, stopping=stop.is_set)
        except StoreError as error:
            log.warning("the database refused: %s", error)
