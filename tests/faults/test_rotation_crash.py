"""SIGKILL while a client's key is rotated (R3), on either side of the commit: the key in use is good until its end, on both databases."""

import signal
from datetime import timedelta
from pathlib import Path

import pytest
from rehearsal import Forks

from fhir_bridge.clock import utc_now
from fhir_bridge.store import audit, clients
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync.clients import signed

POINTS = ("R3",)
HITS = (1, 2, 3)  # before the first commit, after it, and before the second
OVERLAP_HOURS = 24
AUDIT_KEY = b"rehearsed" * 4  # as forks.py has it


@pytest.mark.parametrize("kind", ["key", "hmac"])
@pytest.mark.parametrize("hit", HITS)
def test_a_rotation_killed_at_any_point_leaves_the_old_key_good_until_its_end(
    forks: Forks, database_url: str, tmp_path: Path, hit: int, kind: str
) -> None:
    old, seen = signed.new_name(), tmp_path / "seen"
    with_client(database_url, old, kind)
    order = {"do": "rotate", "database": database_url, "hospital": "http://127.0.0.1:9/fhir", "client": "clinic-1", "kind": kind}
    order |= {"rounds": 2, "overlap_hours": OVERLAP_HOURS, "seen": str(seen)}
    assert forks.run(**order, fault=f"R3:kill:{hit}") == -signal.SIGKILL
    shown = seen.read_text().split() if seen.exists() else []
    assert len(shown) == (1 if hit == 3 else 0)
    assert all(opens(database_url, key, kind) for key in (old, *shown))

    assert forks.run(**order | {"rounds": 1}) == 0  # the administrator, who saw no key or a killed command, rotates again
    newest = seen.read_text().split()[-1]
    assert all(opens(database_url, key, kind) for key in (old, *shown, newest))
    assert [opens(database_url, key, kind, hours=OVERLAP_HOURS + 1) for key in (old, newest)] == [False, True]
    assert rotations(database_url) == {1: 1, 2: 2, 3: 2}[hit]


def with_client(url: str, shown: str, kind: str) -> None:
    store = Store(url, allow_unsafe=True)
    with store.transaction() as tx:
        clients.register(tx, Client("default", "clinic-1", "The clinic", "clinic", tx.now))
        clients.keep(tx, tenant="default", id="clinic-1", kind=kind, shown=shown, now=tx.now, ends_at=None)
    store.close()


def opens(url: str, shown: str, kind: str, *, hours: int = 0) -> bool:
    """Does this open the door, so many hours from now?"""
    store = Store(url, allow_unsafe=True, clock=lambda: utc_now() + timedelta(hours=hours))
    with store.reading() as tx:
        found = clients.authenticate(tx, shown, kind=kind)
    store.close()
    return found is not None


def rotations(url: str) -> int:
    """As many as the audit trail tells, which is whole."""
    store = Store(url, allow_unsafe=True)
    with store.reading() as tx:
        assert audit.verify(tx, "default", AUDIT_KEY) is None
        found = [entry.action for entry in audit.of_subject(tx, "default", "client/clinic-1")]
    store.close()
    assert set(found) == {"rotate-key"}
    return len(found)
