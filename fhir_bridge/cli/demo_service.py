"""The processes of a demonstration: a hospital in a box, the web doors with a worker, and their end with the demonstration."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_bridge.errors import BridgeError

READY_SECONDS = 20.0
DELIVERED_SECONDS = 60.0
STOP_SECONDS = 75.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running bridge: its clinic API, a key for it, and the hospital's FHIR base address."""

    api: str
    key: str
    hospital: str

    def post(self, path: str, body: bytes, *, key: str) -> dict[str, Any]:
        """POST a record; raises `BridgeError` with the answer's problem details when it is refused."""
        return self._call("POST", path, body, {"Content-Type": "application/json", "Idempotency-Key": key})

    def delivered(self, path: str) -> dict[str, Any]:
        """The record at `path` once no delivery of it moves any more."""
        end = time.monotonic() + DELIVERED_SECONDS
        while time.monotonic() < end:
            shown = self._call("GET", path, None, {})
            if shown["deliveries"] and all(delivery["state"] in ("delivered", "dead") for delivery in shown["deliveries"]):
                return shown
            time.sleep(0.1)
        raise BridgeError(f"{path} was not delivered within {DELIVERED_SECONDS:.0f} s; `fhir-bridge status` says why")

    def wait(self) -> None:
        """Until Ctrl-C."""
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        request = urllib.request.Request(self.api + path, data=body, headers=headers, method=method)  # noqa: S310  # our own address
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
                found: dict[str, Any] = json.load(reply)
                return found
        except urllib.error.HTTPError as error:
            raise BridgeError(f"{method} {path} was answered {error.code}: {error.read().decode()}") from error


@contextmanager
def running_service(*, hospital: str | None, like: str) -> Iterator[Service]:
    """The bridge on a fresh SQLite database in a temporary folder, delivering to `hospital` or to a sandbox `like` that server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-bridge-demo-")))
        if hospital is None:
            port = _free_port()
            hospital = f"http://127.0.0.1:{port}/fhir"
            stack.enter_context(_process("sandbox", "serve", "--like", like, "--port", str(port)))
            _wait_for(f"{hospital}/metadata")
        port = _free_port()
        settings = {
            "FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite'}",
            "FHIR_BRIDGE_HOSPITAL": hospital,
            "FHIR_BRIDGE_PORT": str(port),
            "FHIR_BRIDGE_POLL_INTERVAL_SECONDS": "0.1",
        }
        key = _new_key(settings)
        stack.enter_context(_process("serve", "--with-worker", settings=settings))
        _wait_for(f"http://127.0.0.1:{port}/readyz")
        yield Service(f"http://127.0.0.1:{port}", key, hospital)


def _new_key(settings: Mapping[str, str]) -> str:
    _run("db", "upgrade", settings=settings)
    found: str = json.loads(_run("clients", "add", "demo", "--json", settings=settings))["key"]
    return found


def _run(*arguments: str, settings: Mapping[str, str]) -> str:
    done = subprocess.run(_ourselves(arguments), env=_environment(settings), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BridgeError(f"fhir-bridge {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _process(*arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[None]:
    environment, silent = _environment(settings or {}), subprocess.DEVNULL
    process = subprocess.Popen(_ourselves(arguments), env=environment, stdout=silent, stderr=silent)  # noqa: S603
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _ourselves(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "fhir_bridge", *arguments]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of ours that a person may have exported: the demonstration is the same everywhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")} | dict(settings)


def _wait_for(url: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310  # an address we made ourselves
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise BridgeError(f"{url} did not answer within {READY_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
