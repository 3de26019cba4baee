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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_bridge import bootstrap, documents
from fhir_bridge.errors import BridgeError
from fhir_bridge.sandbox.profile import agreed
from fhir_bridge.settings import Secret, Settings
from fhir_bridge.store import clients

READY_SECONDS = 60.0
STANDSTILL_SECONDS = 60.0
STOP_SECONDS = 75.0
POLL_SECONDS = 0.05
_ALWAYS = frozenset({"id", "hospital", "version", "state", "changed_at", "attempts", "resources"})  # of a delivery, whatever its state
DOORS = ("clinic", "hospital")  # whose clients call


@dataclass(frozen=True, slots=True)
class Service:
    """A running bridge: its clinic API with a key for it, the hospital's FHIR base address, and the key it pushes referrals with.

    `settings` is the environment of another `fhir-bridge` command beside it.
    """

    api: str
    key: str
    hospital: str
    hospital_key: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def doors(self) -> frozenset[str]:
        """The kinds of records that can be posted: `session`, `appointment` …"""
        paths = self._call("GET", "/openapi.json", None, {})["paths"]
        return frozenset(path.removeprefix("/api/v1/").removesuffix("s") for path, methods in paths.items() if "post" in methods)

    def post(self, file: Path) -> dict[str, Any]:
        """POST the record in `file` (`session-1.json`); raises `BridgeError` with the problem details when it is refused."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"demo/{file.parent.name}/{file.name}"}
        return self._call("POST", f"/api/v1/{file.name.partition('-')[0]}s", file.read_bytes(), headers)

    def ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the clinic's API answers; raises `BridgeError` with the problem details when it refuses."""
        body = None if document is None else documents.dumps(document)
        return self._call(method, path, body, {"Content-Type": "application/json"} if body else {})

    def push(self, path: str, body: bytes) -> dict[str, Any]:
        """What the door answers to a referral the hospital pushes."""
        headers = {"Content-Type": "application/fhir+json", "Authorization": f"Bearer {self.hospital_key}"}
        return self._call("POST", path, body, headers)

    def run(self, *arguments: str) -> dict[str, Any]:
        """What `fhir-bridge arguments --json` prints, run beside the service on its database."""
        words, environment = _ourselves((*arguments, "--json")), _environment(self.settings)
        ended = subprocess.run(words, env=environment, capture_output=True, check=False, text=True)  # noqa: S603
        if ended.returncode:
            raise BridgeError(f"fhir-bridge {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr.strip()}")
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def delivered(self, path: str) -> dict[str, Any]:
        """The record at `path` once no delivery of it moves any more.

        However long it takes, while it comes on; raises `BridgeError` with where it stands when nothing happens for `STANDSTILL_SECONDS`.
        """
        seen, end = None, 0.0
        while seen is None or time.monotonic() < end:
            shown = self._call("GET", path, None, {})
            if shown["deliveries"] and all(delivery["state"] in ("delivered", "dead") for delivery in shown["deliveries"]):
                return shown
            if shown["deliveries"] != seen:
                seen, end = shown["deliveries"], time.monotonic() + STANDSTILL_SECONDS
            time.sleep(POLL_SECONDS)
        raise BridgeError(f"nothing happened to {path} for {STANDSTILL_SECONDS:.0f} s: {'; '.join(map(_stands, seen)) or 'no delivery'}")

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
                found: dict[str, Any] = documents.loads(reply.read())
                return found
        except urllib.error.HTTPError as error:
            raise BridgeError(f"{method} {path} was answered {error.code}: {error.read().decode()}") from error


@contextmanager
def running_service(*, hospital: str | None, like: str) -> Iterator[Service]:
    """The bridge on a fresh SQLite database in a temporary folder, delivering to `hospital` or to a sandbox `like` that server.

    With a sandbox goes the site file agreed with such a hospital; a real one is taken as its CapabilityStatement describes it.
    """
    with ExitStack() as stack:
        folder, rules = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-bridge-demo-"))), {}
        if hospital is None:
            port, rules = _free_port(), agreed(like).rules
            hospital = f"http://127.0.0.1:{port}/fhir"
            box = _process("sandbox", "serve", "--like", like, "--port", str(port), log=folder / "sandbox.log")
            _wait_for(f"{hospital}/metadata", stack.enter_context(box))
        port, database = _free_port(), f"sqlite:///{folder / 'demo.sqlite'}"
        keys, config = _new_keys(database), folder / "sites.toml"
        config.write_text(site_file(hospital, rules), encoding="utf-8")
        settings = {
            "FHIR_BRIDGE_DATABASE_URL": database,
            "FHIR_BRIDGE_CONFIG": str(config),
            "FHIR_BRIDGE_PORT": str(port),
            "FHIR_BRIDGE_WEB_WORKERS": "1",
            "FHIR_BRIDGE_POLL_INTERVAL_SECONDS": str(POLL_SECONDS),
        }
        served = _process("serve", "--with-worker", settings=settings, log=folder / "serve.log")
        _wait_for(f"http://127.0.0.1:{port}/readyz", stack.enter_context(served))
        yield Service(f"http://127.0.0.1:{port}", keys["clinic"], hospital, keys["hospital"], settings)


def _stands(delivery: Mapping[str, Any]) -> str:
    """How far a delivery came, and why it waits."""
    told = f"{delivery['state']} after {len(delivery['attempts'])} calls"
    why = {name: word for name, word in delivery.items() if name not in _ALWAYS}
    return f"{told}, {why}" if why else told


def site_file(base_url: str, rules: Mapping[str, Any]) -> str:
    """The TOML of one hospital at `base_url` with `rules` (as `fhir_bridge.settings` reads them)."""
    said = "".join(f"{name} = {_toml(value)}\n" for name, value in rules.items())
    return f"[hospitals.demo]\nbase_url = {_toml(base_url)}\n\n[hospitals.demo.rules]\n{said}"


def _toml(value: Any) -> str:
    """`value` on one line; texts, numbers and lists are written as in JSON."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _new_keys(database: str) -> dict[str, str]:
    """A key for the clinic and one for the hospital, in a fresh database."""
    settings = Settings(database_url=Secret(database))
    bootstrap.prepare(settings)
    store = bootstrap.store(settings)
    with store.transaction() as tx:
        keys = {kind: clients.add(tx, tenant="default", id=f"demo-{kind}", name=kind, kind=kind, now=tx.now) for kind in DOORS}
    store.close()
    return keys


@dataclass(frozen=True, slots=True)
class _Running:
    """A process of ours, and where it writes what it has to say."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def require_alive(self) -> None:
        if self.process.poll() is not None:
            raise BridgeError(f"a process of the demonstration ended by itself: {self.log.read_text(errors='replace').strip()[-500:]}")


@contextmanager
def _process(*arguments: str, log: Path, settings: Mapping[str, str] | None = None) -> Iterator[_Running]:
    with log.open("wb") as written:
        process = subprocess.Popen(_ourselves(arguments), env=_environment(settings or {}), stdout=written, stderr=written)  # noqa: S603
        try:
            yield _Running(process, log)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _ourselves(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "fhir_bridge", *arguments]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of ours that a person may have exported: the demonstration is the same everywhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")} | dict(settings)


def _wait_for(url: str, running: _Running) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        running.require_alive()
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310  # an address we made ourselves
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(POLL_SECONDS)
    raise BridgeError(f"{url} did not answer within {READY_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
