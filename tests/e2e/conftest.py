"""The product as it is run, against a real HAPI server: a served API, a worker of its own, and a clinic that only knows HTTP."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from outside import CASES, DEADLINE_SECONDS, LEASE_SECONDS, Clinic

from fhir_bridge import documents
from fhir_bridge.hospital.client import Client


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
