"""Doors over HTTP for the rows that measure them: ours as `serve` runs it and a bare one, each by two web processes, in turn."""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .bridges import folder

CONNECTIONS, SECONDS, ROUNDS = 4, 2.0, 7
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Door:
    """Where something is posted, with what, what `fresh` thing nobody posted before, and the status that says it is stored."""

    port: int
    path: str
    headers: Mapping[str, str]
    fresh: Callable[[], bytes]
    stored: int = 202

    def rate(self) -> float:
        """Things stored a second, over as many connections as a client's system would keep open."""
        end, counts = time.monotonic() + SECONDS, [0] * CONNECTIONS
        threads = [threading.Thread(target=self._post, args=(end, counts, number)) for number in range(CONNECTIONS)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.monotonic() - start)

    def _post(self, end: float, counts: list[int], number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while time.monotonic() < end:
            connection.request("POST", self.path, self.fresh(), {"Content-Type": "application/json", **self.headers})
            reply = connection.getresponse()
            said = reply.read()
            if reply.status != self.stored:
                raise AssertionError(said)
            counts[number] += 1
        connection.close()


def ratio(path: str, bare: str, fresh: Callable[[], bytes], *, kind: str = "clinic", stored: int = 202) -> float:
    """The rate of our door at `path`, opened by a client of `kind`, over that of the bare one at `bare`; the median of the rounds."""
    with folder() as place, _bare(place) as theirs, _ours(place, kind) as (ours, key):
        doors = Door(ours, path, {"Authorization": f"Bearer {key}"}, fresh, stored), Door(theirs, bare, {}, fresh, stored)
        _ = [door.rate() for door in doors]  # what is made at first use is made here
        return statistics.median(_round(*doors, number) for number in range(ROUNDS))


def _round(ours: Door, theirs: Door, number: int) -> float:
    if number % 2:
        own = ours.rate()
        return own / theirs.rate()
    other = theirs.rate()
    return ours.rate() / other


@contextmanager
def _bare(place: Path) -> Iterator[int]:
    port = _free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--worker-class", "gthread", "--threads", "8"]
    options += ["--no-control-socket"] if _has_control_socket() else []
    command = [sys.executable, "-m", "gunicorn", *options, "tests.bench.bare:app"]
    with _running(command, {"BENCH_DATABASE": str(place / "bare.sqlite")}, port):
        yield port


@contextmanager
def _ours(place: Path, kind: str) -> Iterator[tuple[int, str]]:
    """(its port, the key of a client of `kind`)."""
    port = _free_port()
    environment = {
        "FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{place / 'bridge.sqlite'}",
        "FHIR_BRIDGE_HOSPITAL": "http://127.0.0.1:9/fhir",  # nobody answers there, and no worker asks
        "FHIR_BRIDGE_PORT": str(port),
        "FHIR_BRIDGE_WEB_WORKERS": "2",
    }
    ourselves = [sys.executable, "-m", "fhir_bridge"]
    add = [*ourselves, "clients", "add", "bench", "--kind", kind, "--json"]
    subprocess.run([*ourselves, "db", "upgrade"], env=os.environ | environment, check=True, capture_output=True)
    told = subprocess.run(add, env=os.environ | environment, check=True, capture_output=True).stdout
    with _running([*ourselves, "serve"], environment, port):
        yield port, json.loads(told)["key"]


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], port: int) -> Iterator[None]:
    silent = subprocess.DEVNULL
    with ExitStack() as stack:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=silent, stderr=silent)
        stack.callback(process.wait, 90)
        stack.callback(process.terminate)
        _wait_for(port)
        yield


def _has_control_socket() -> bool:
    from gunicorn.config import KNOWN_SETTINGS

    return any(setting.name == "control_socket_disable" for setting in KNOWN_SETTINGS)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
