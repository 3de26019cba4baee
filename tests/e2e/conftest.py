"""The product as it is run, against a real HAPI server: a served API, a worker of its own, and a clinic that only knows HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from fhir_bridge import documents
from fhir_bridge.hospital.client import Client

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
DEADLINE_SECONDS = 10
LEASE_SECONDS = DEADLINE_SECONDS + 1


@dataclass(frozen=True)
class Clinic:
    """A clinic system with its key, and the environment of the bridge's processes."""

    api: str
    key: str
    environment: dict[str, str]

    def post(self, session: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """POST a session; the answer of a 202."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        reply = requests.post(f"{self.api}/api/v1/sessions", data=documents.dumps(session), headers=headers, timeout=30)
        assert reply.status_code == 202, reply.text
        return dict(reply.json())

    def delivered(self, session: dict[str, Any]) -> dict[str, Any]:
        """The one delivery of the session, once it is delivered."""
        end = time.monotonic() + 4 * LEASE_SECONDS
        while (found := self.delivery(session))["state"] != "delivered":
            going = found["state"] != "dead" and time.monotonic() < end
            assert going, documents.pretty({name: found.get(name) for name in ("state", "reason", "card", "attempts")})
            time.sleep(0.1)
        return found

    def delivery(self, session: dict[str, Any]) -> dict[str, Any]:
        """The one delivery of the session as it stands."""
        headers = {"Authorization": f"Bearer {self.key}"}
        shown = requests.get(f"{self.api}/api/v1/sessions/{session['id']}", headers=headers, timeout=30).json()
        (found,) = shown["deliveries"]
        return dict(found)

    @contextmanager
    def worker(self, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
        """A delivering process, until the end of the block."""
        process = subprocess.Popen([sys.executable, "-m", "fhir_bridge", "worker"], env=self.environment | environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_SECONDS * 2)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory, hapi: str) -> Iterator[Clinic]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")} | {
        "FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('clinic') / 'bridge.sqlite'}",
        "FHIR_BRIDGE_HOSPITAL": hapi,
        "FHIR_BRIDGE_PORT": str(port),
        "FHIR_BRIDGE_WEB_WORKERS": "1",
        "FHIR_BRIDGE_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
        "FHIR_BRIDGE_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    ourselves = [sys.executable, "-m", "fhir_bridge"]
    subprocess.run([*ourselves, "db", "upgrade"], env=environment, check=True, capture_output=True)
    told = subprocess.run([*ourselves, "clients", "add", "clinic", "--json"], env=environment, check=True, capture_output=True).stdout
    process = subprocess.Popen([*ourselves, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz")
        yield Clinic(f"http://127.0.0.1:{port}", json.loads(told)["key"], environment)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def session() -> dict[str, Any]:
    """A monitored visit of a patient nobody has seen before."""
    token = uuid.uuid4().hex[:8]
    text = (CASES / "monitored-clinic-visit" / "session-1.json").read_text()
    found: dict[str, Any] = documents.loads(re.sub(r'"([A-Z])-MCV', rf'"\1-{token}', text).encode())
    assert (found["id"], found["patient"]["id"]) == (f"S-{token}-1", f"P-{token}")
    return found


@pytest.fixture
def hospital(hapi: str) -> Client:
    """The hospital's FHIR API as anybody sees it."""
    return Client(hapi)


def _wait_for(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if requests.get(url, timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer")
