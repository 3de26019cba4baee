"""A bridge to be killed: a database, a hospital in a box that outlives every kill, processes, and the ledger at the end."""

import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from fhir_bridge import bootstrap, documents
from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.faults import Faults
from fhir_bridge.sandbox.ledger import Ledger, Told, balance
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.relay import Relay
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.sandbox.traffic import PARTS, RULES, Visit, fixed
from fhir_bridge.settings import Settings
from fhir_bridge.store import clients, outbox
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge

FORKS = Path(__file__).parent / "forks.py"
HOUR = 3600.0


class Forks:
    """The process that forks others (`forks.py`), spoken to line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def start(self, **order: Any) -> int:
        """A child at its task; returns its process id."""
        return int(self.ask(**order)["pid"])

    def end(self, pid: int) -> int:
        """The exit code of a child, once it has ended; negative for the signal that killed it."""
        return int(self.ask(wait=pid)["code"])

    def run(self, **order: Any) -> int:
        """A child from beginning to end."""
        return self.end(self.start(**order))


@contextmanager
def forking() -> Iterator[Forks]:
    """Starts the process that forks, and ends it."""
    process = subprocess.Popen([sys.executable, str(FORKS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Forks(process)
    finally:
        with suppress(BrokenPipeError):
            process.communicate(timeout=10)


@dataclass
class Ward:
    """A hospital in a box like `like`: what it holds and how it fails are ours to see and to say."""

    like: str
    base_url: str
    chart: Chart
    faults: Faults
    network: Relay | None = None
    order: dict[str, Any] = field(default_factory=dict)  # what its processes are told beside its address


@contextmanager
def ward(like: str) -> Iterator[Ward]:
    """Serves the hospital from a thread of this process, which nobody kills."""
    chart = Chart()
    chart.hold(fixed())
    faults = Faults(create_app(load(like), store=chart))
    with running(faults) as server:
        yield Ward(like, server.base_url, chart, faults)


@dataclass
class Rehearsal:
    """One database, one hospital, and what clients were told; `shift` is how far the rehearsal's clock has gone, in seconds."""

    database: str
    hospital: Ward
    forks: Forks
    told: list[Told] = field(default_factory=list)
    shift: float = 0

    def order(self, do: str, **more: Any) -> dict[str, Any]:
        """A child's order; `more` overrides."""
        rules = RULES.get(self.hospital.like, {})
        own = {"database": self.database, "hospital": self.hospital.base_url, "rules": rules, "shift": self.shift}
        return {"do": do, **own, **self.hospital.order, **more}

    def accept(self, *visits: Visit, clock: Callable[[], datetime] = utc_now) -> None:
        """The clinic posts, and is told 202."""
        bridge = accepting(self.database, clock)
        for visit in visits:
            body = documents.dumps(visit.document())
            digest = sha256(body).hexdigest()
            accept.accept(bridge, client=CLINIC, kind="session", document=documents.loads(body), body_sha256=digest, key=None)
            self.told.append(visit.told())
        bridge.store.close()

    def drain(self, **more: Any) -> int:
        """A worker runs what is due; returns its exit code."""
        return self.forks.run(**self.order("drain", **more))

    def settle(self, **more: Any) -> None:
        """A worker that nobody kills, when the leases of the killed ones are over."""
        self.shift += HOUR
        code = self.forks.run(**self.order("settle", **more))
        assert code == 0, "something is still open; see standard error"

    def ledger(self) -> Ledger:
        """What clients were told against what the hospital holds."""
        return balance(self.told, self.hospital.chart.log, parts=PARTS[self.hospital.like], stopped=self.stopped())

    def stopped(self) -> dict[str, str]:
        """What is shown to a person, by record id."""
        bridge = accepting(self.database)
        dead = status.overview(bridge)["dead"]
        bridge.store.close()
        return {card["record"].partition("/")[2]: card["reason"] for card in dead}


class NoAnswer(Exception):
    """The connection ended before the answer was whole: the client does not know whether it was accepted."""


@dataclass
class Door:
    """The clinic's door over HTTP, served by a process that may be killed and started again at the same address."""

    run: Rehearsal
    fd: int
    port: int
    key: str
    _pid: int = 0

    @classmethod
    @contextmanager
    def opened(cls, run: Rehearsal) -> Iterator["Door"]:
        """A door with a key of its own; whoever serves at the end is killed."""
        bridge = accepting(run.database)
        with bridge.store.transaction() as tx:
            key = clients.add(tx, tenant="default", id="clinic-1", name="The clinic", kind="clinic", now=tx.now)
        bridge.store.close()
        found = run.forks.ask(listen=run.database)
        door = cls(run, found["fd"], found["port"], key)
        try:
            yield door
        finally:
            if door._pid:
                door.kill()

    def serve(self, **more: Any) -> None:
        """A server process starts."""
        self._pid = self.run.forks.start(**self.run.order("serve", fd=self.fd, **more))

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        os.kill(self._pid, signal.SIGKILL)
        self.ended()

    def ended(self) -> int:
        """Waits for the server's end: its exit code, negative for a signal."""
        pid, self._pid = self._pid, 0
        return self.run.forks.end(pid)

    def post(self, visit: Visit) -> None:
        """Post as a clinic does, with a key; told when it was accepted. Raises `NoAnswer`."""
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"{visit.id}/{visit.version}",
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/api/v1/sessions", documents.dumps(visit.document()), headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException) as error:
            raise NoAnswer from error
        finally:
            connection.close()
        assert answer.status == 202, body
        self.run.told.append(visit.told())

    def deliveries(self) -> int:
        """How many deliveries the bridge made of what was posted."""
        bridge = accepting(self.run.database)
        with bridge.store.reading() as tx:
            found = [outbox.of_record(tx, "default", "session", each.id) for each in self.run.told]
        bridge.store.close()
        return sum(map(len, found))


CLINIC = Client("default", "clinic-1", "The clinic", "clinic", Visit(0, 0).moment)
_SITE = replace(bootstrap.site(Settings(), "default"), hospitals=("general",))


def accepting(database: str, clock: Callable[[], datetime] = utc_now) -> Bridge:
    """A bridge that accepts and never delivers, in this process."""
    return Bridge(
        store=Store(database, allow_unsafe=True, clock=clock),
        sites={"default": _SITE},
        hospitals={},
        clock=clock,
        rng=random.Random(0),
        new_id=lambda: str(uuid.uuid4()),
        audit_key=b"rehearsed" * 4,
    )
