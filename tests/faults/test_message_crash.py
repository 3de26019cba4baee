"""SIGKILL around the sending of a referral's message, on both databases: the sender takes it once, and no state is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fhir_bridge import bootstrap, documents
from fhir_bridge.clock import utc_now
from fhir_bridge.settings import Secret, Settings, Site
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync import refer
from fhir_bridge.sync.referrals.shape import MESSAGE, Incoming

sys.path.insert(0, str(Path(__file__).parents[1] / "sync"))
from desk import Desk, desk

ROOT = Path(__file__).parents[2]
BODY = (ROOT / "fixtures/cases/referred-biologic/inbound/message.json").read_bytes()
WORKER = """
from dataclasses import replace
from fhir_bridge import bootstrap
from fhir_bridge.settings import Settings
from fhir_bridge.store.database import Store
from fhir_bridge.sync.worker import Worker
settings = Settings.from_environ()
store = Store(settings.database_url.reveal(), allow_unsafe=True)  # the tests' PostgreSQL does not wait for the disk
Worker(replace(bootstrap.bridge(settings), store=store, dispatch=None)).drain()
"""
AUDIT_KEY = "a key of the rehearsal, long enough to be one"


@pytest.fixture
def sender() -> Iterator[Desk]:
    with desk() as found:
        yield found


@pytest.mark.parametrize("point", ["O4", "O8"])
def test_a_worker_killed_around_a_message_leaves_it_taken_once(database_url: str, sender: Desk, tmp_path: Path, point: str) -> None:
    environment = _environment(database_url, sender, tmp_path)
    _refer(database_url, sender)
    assert _work(environment | {"FHIR_BRIDGE_FAULT": f"{point}:kill:1"}) == -signal.SIGKILL
    assert len(sender.taken) == (0 if point == "O4" else 1)
    end = time.monotonic() + 60
    while not (sender.taken and len(sender.calls) > (point == "O8")):
        assert time.monotonic() < end, "the lease of the killed one ran out, and nobody took the message up"
        _work(environment)
        time.sleep(0.5)
    assert sender.told() == [("received", "2.0", "1")]
    assert _work(environment) == 0
    assert len(sender.calls) == (1 if point == "O4" else 2)


def _refer(database_url: str, sender: Desk) -> None:
    settings = Settings(
        database_url=Secret(database_url), audit_key=Secret(AUDIT_KEY), sites={"default": Site("default", hospitals=("general",))}
    )
    store = Store(database_url, allow_unsafe=True)
    bridge = replace(bootstrap.bridge(settings), store=store, dispatch=None)
    client = Client("default", "general", "Invented General Hospital", "hospital", utc_now())
    refer.take(bridge, client, Incoming(MESSAGE, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    store.close()


def _environment(database_url: str, sender: Desk, folder: Path) -> dict[str, str]:
    config = folder / "sites.toml"
    rules = '[hospitals.general.rules]\nchannel = "message"\n'
    config.write_text(f'[sites.default]\nhospitals = ["general"]\n[hospitals.general]\nbase_url = "{sender.url}"\n{rules}')
    told = {"DATABASE_URL": database_url, "CONFIG": str(config), "AUDIT_KEY": AUDIT_KEY, "LEASE_SECONDS": "3", "DEADLINE_SECONDS": "2"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")}
    return kept | {f"FHIR_BRIDGE_{name}": value for name, value in told.items()}


def _work(environment: dict[str, str]) -> int:
    return subprocess.run(
        [sys.executable, "-c", WORKER], env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False
    ).returncode
