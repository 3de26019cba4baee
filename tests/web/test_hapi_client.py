"""A transaction as HAPI's own client sends it, by HAPI's own client: a Java program at the hospital's door, over HTTP."""

import shutil
import subprocess
from pathlib import Path

import pytest
import servers
from flask import Flask

from fhir_bridge.sandbox.running import running
from fhir_bridge.store import clients
from fhir_bridge.sync.bridge import Bridge

SENDER = servers.MODULE / "client" / "Sender.java"
INBOUND = Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound"


@pytest.fixture
def class_path() -> str:
    """The libraries of the HAPI module, its client among them."""
    if not shutil.which("java"):
        pytest.skip("HAPI's client needs Java 17")
    try:
        servers.build()
    except servers.Unavailable as missing:
        pytest.skip(str(missing))
    return (servers.TARGET / "classpath.txt").read_text().strip()


def test_hapis_own_client_refers_reads_searches_pages_and_understands_a_refusal(app: Flask, bridge: Bridge, class_path: str):
    with bridge.store.transaction() as tx:
        key = clients.add(tx, tenant="north", id="ehr", name="Invented EHR", kind="hospital", now=tx.now)
    with running(app) as place:
        files = [str(INBOUND / name) for name in ("transaction.json", "service-request.json")]
        command = ["java", "-XX:TieredStopAtLevel=1", "-Xmx512m", "-cp", class_path, str(SENDER), place.base_url, key, *files]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line) == {
        "transaction": "transaction-response",
        "entries": "8",
        "status": "active",
        "found": "1",
        "task": "received",
        "versions": "1",
        "known": "true",
        "created": "true",
        "pages": "2",
        "refused": "ServiceRequest.status",
    }
