"""A clinic's day against a hospital that fails in every way it can, with time running fast; nothing leaves this machine.

One process: the clinic's API and the hospital in a box on loopback, behind TLS and a network that fails too, two workers, a database in
a temporary folder. The bridge's clock runs faster than the machine's, so that waits of hours pass in seconds; what it does in them is
what it does in production. Only while the hospital works it does not: no hospital carries out a call hours after it came.
"""

import random
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fhir_bridge import bootstrap, documents
from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.client import Client, Deadlines
from fhir_bridge.sandbox import relay
from fhir_bridge.sandbox.certificates import AUTHORITIES, made_in
from fhir_bridge.sandbox.fast_clock import FastClock
from fhir_bridge.sandbox.faults import KINDS, Failure, Faults
from fhir_bridge.sandbox.ledger import Ledger, Told, balance
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.relay import relaying
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app as create_hospital
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.sandbox.traffic import PARTS, RULES, Visit, fixed
from fhir_bridge.sandbox.troubles import Troubles
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import clients
from fhir_bridge.store.database import Store
from fhir_bridge.sync import status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import dispatch
from fhir_bridge.sync.worker import Worker
from fhir_bridge.web.app import create_app

DEADLINE = 1.0  # real seconds a call may take; a stall takes longer
AFTER = ("30", "Wed, 11 Mar 2026 00:00:00 GMT", "Thu, 31 Dec 2099 23:59:59 GMT", "9999999999")  # when to come again, sensible and not
DAY = 24 * 3600.0
VISITS = 40  # sessions a minute
STANDSTILL = 120.0  # real seconds after the day without any delivery coming to its end: a slow machine is not a fault
# A server that carries a plain create out twice makes two resources, whoever asked; only a write by our own id is safe from it.
NOT_PREVENTABLE = {"hapi": (), "epic": ("twice",), "oracle": ("twice",), "athena": ()}


@dataclass
class Rehearsal:
    """One running rehearsal: what failed is counted in `faults.spoilt` and `network.met`, what was accepted is in `told`."""

    like: str
    bridge: Bridge
    clock: FastClock
    chart: Chart
    faults: Faults
    network: Troubles
    api: str
    key: str
    rng: random.Random
    told: list[Told] = field(default_factory=list)

    def run(self, minutes: float) -> Ledger:
        """The day's traffic under faults, then quiet until nothing is open; raises `BridgeError` when it does not get quiet."""
        seconds, troubles = minutes * 60, self._shuffled(relay.KINDS)
        # one that takes nothing is asked what it can do, and nothing more once it has answered: no time is left between two troubles
        pause = seconds / (2 * len(troubles)) if self._takes else 0
        with self._working(), self.clock.running(unless=self._busy), self.network.playing(troubles, pause=pause):
            self._day(seconds)
            self._evening()
        return balance(self.told, self.chart.log, parts=PARTS[self.like], stopped=self._stopped())

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Two workers."""
        stop = threading.Event()
        workers = [threading.Thread(target=Worker(self.bridge, name=f"worker-{n}").run, args=(stop,), daemon=True) for n in range(2)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            stop.set()
            for worker in workers:
                worker.join()

    def _busy(self) -> bool:
        return self.network.relay.busy

    def _day(self, seconds: float) -> None:
        """Posts evenly over the day; in every part of it the hospital fails in another way."""
        visits, kinds = self._visits(max(8, int(VISITS * seconds / 60))), self._shuffled(self._kinds())
        begun = time.monotonic()
        for place, visit in enumerate(visits):
            first, last = (part * len(kinds) // len(visits) for part in (place, place + 1))
            self.faults.add(*(failure for kind in kinds[first:last] for failure in self._failures(kind)))
            self._post(visit)
            time.sleep(max(0.0, begun + seconds * (place + 1) / len(visits) - time.monotonic()))

    def _evening(self) -> None:
        """Until nothing is open, with waits skipped, and every kind of fault has met a call: for one that has not there is a late visit."""
        moved, last, number = time.monotonic(), (-1, -1), len(self.told)
        while (count := self._open()) or self._unmet():
            if (seen := (count or last[0], len(self._unmet()))) != last:  # that a late visit was delivered is nothing new
                moved, last = time.monotonic(), seen
            if time.monotonic() - moved > STANDSTILL:
                raise BridgeError(f"{count} deliveries are still open and none moved for {STANDSTILL:.0f} s, not met: {self._unmet()}")
            if not count:
                self._post(Visit(number, patient=number, like=self.like))
                number += 1
            time.sleep(0.1)
            if not self._busy() and not dispatch.due(self.bridge, 1):
                self.clock.forward(1800 if count else DAY)  # on the next day the hospital is asked anew what it can do

    def _unmet(self) -> list[str]:
        return sorted({*self._kinds(), *relay.KINDS} - {*self.faults.spoilt, *self.network.met})

    def _visits(self, count: int) -> list[Visit]:
        """Two sessions a patient; every fifth is corrected right after it."""
        found = []
        for number in range(count):
            visit = Visit(number, patient=number // 2, like=self.like)
            found += [visit, replace(visit, version=2)] if number % 5 == 4 else [visit]
        return found

    @property
    def _takes(self) -> bool:
        """Whether the hospital takes anything by machine; one that does not is only asked what it can do."""
        return bool(PARTS[self.like])

    def _kinds(self) -> list[str]:
        return [kind for kind in KINDS if kind not in NOT_PREVENTABLE[self.like]]

    def _shuffled(self, kinds: Iterable[str]) -> list[str]:
        found = sorted(kinds)
        self.rng.shuffle(found)
        return found

    def _failures(self, kind: str) -> list[Failure]:
        """`kind`, as it spoils the next writes, or else the next question: what stalls takes longer than a call may, what drips too."""
        seconds = {"drip": 0.05}.get(kind, DEADLINE * 1.5)
        writes = r"/fhir$|/Observation$" if kind == "twice" else ""  # a search may be made twice
        method, path = ("POST", writes) if self._takes else ("GET", "/metadata$")
        asked = AFTER if kind == "throttled" else ("30",) if kind == "unavailable" else ("",)
        times = 2 if self._takes and kind != "throttled" else 1
        return [Failure(kind=kind, method=method, path=path, times=times, seconds=seconds, retry_after=after) for after in asked]

    def _open(self) -> int:
        found = status.overview(self.bridge)["hospitals"]
        return sum(count for hospital in found for state, count in hospital["open"].items() if state != "dead")

    def _stopped(self) -> dict[str, str]:
        if not self._takes:
            return {each.id: "the hospital takes nothing by machine" for each in self.told}
        return {card["record"].partition("/")[2]: card["reason"] for card in status.overview(self.bridge)["dead"]}

    def _post(self, visit: Visit) -> None:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        headers["Idempotency-Key"] = f"{visit.id}/{visit.version}"
        request = urllib.request.Request(f"{self.api}/api/v1/sessions", documents.dumps(visit.document()), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60):  # noqa: S310  # our own address
                self.told.append(visit.told())
        except urllib.error.HTTPError as error:
            raise BridgeError(f"the bridge answered {error.code} to a session: {error.read().decode()}") from error


@contextmanager
def rehearsing(like: str, *, minutes: float, seed: int) -> Iterator[Rehearsal]:
    """A bridge, a hospital like `like` and everything between them, gone when the block is left."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-bridge-rehearsal-")))
        chart = Chart()
        chart.hold(fixed())
        faults = Faults(_encrypted(create_hospital(load(like), store=chart)))
        network = stack.enter_context(relaying(stack.enter_context(running(faults)).port, tls=made_in(folder)))
        clock = FastClock(speed=DAY / (max(minutes, 1) * 60))
        bridge = _bridge(folder, network.base_url, clock, like=like, seed=seed)
        stack.callback(bridge.store.close)
        with bridge.store.transaction() as tx:
            key = clients.add(tx, tenant="default", id="rehearsal", name="The clinic", kind="clinic", now=tx.now)
        door = stack.enter_context(running(create_app(bridge, log=_Silent())))
        api = f"http://127.0.0.1:{door.port}"
        chance = random.Random(seed)  # noqa: S311  # repeatable, nothing secret
        yield Rehearsal(like, bridge, clock, chart, faults, Troubles(network, DEADLINE), api, key, chance)


def _encrypted(hospital: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The hospital knows that it is called by https, though the relay speaks that for it: its addresses say so."""
    return lambda environ, start: hospital({**environ, "wsgi.url_scheme": "https"}, start)


def _bridge(folder: Path, base_url: str, clock: FastClock, *, like: str, seed: int) -> Bridge:
    given = Settings(
        database_url=Secret(f"sqlite:///{folder / 'rehearsal.sqlite'}"),
        sites={"default": Site("default", hospitals=("twin",))},
        hospitals={"twin": Hospital("twin", base_url, rules=RULES.get(like, {}))},
        deadline_seconds=DEADLINE,
        poll_interval_seconds=0.05,
    )
    bootstrap.prepare(given)
    made = bootstrap.bridge(given)
    made.store.close()
    store = Store(given.database_url.reveal(), clock=clock)
    # in the bridge's time a call takes `speed` times as long, and a lease must outlast it
    deadline = DEADLINE * clock.speed
    chance = random.Random(seed)  # noqa: S311
    client = Client(base_url, deadlines=Deadlines(DEADLINE, DEADLINE, DEADLINE), verify=str(folder / AUTHORITIES))
    hospitals = {name: replace(hospital, client=client) for name, hospital in made.hospitals.items()}
    made = replace(made, store=store, hospitals=hospitals, clock=clock, rng=chance)
    return replace(made, lease_seconds=int(20 * deadline), deadline_seconds=deadline)


class _Silent:
    """Takes every line of a log and keeps none."""

    def info(self, *_: object, **__: object) -> None: ...

    warning = error = exception = debug = info
