"""A demonstration waits while a delivery comes on, however slow the hospital is, and gives up only when nothing happens."""

from collections.abc import Iterator

import pytest
from rehearsal import Door, Forks, Rehearsal, ward

from fhir_bridge.cli import demo_service
from fhir_bridge.cli.demo_service import Service
from fhir_bridge.errors import BridgeError
from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit

STANDSTILL = 2.0
CALL = 0.5  # seconds, of each: the record takes several times STANDSTILL, one call a fraction of it
VISIT = Visit(0, patient=0, readings=1, like="epic")


@pytest.fixture
def door(forks: Forks, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(demo_service, "STANDSTILL_SECONDS", STANDSTILL)
    with ward(VISIT.like) as hospital, Door.opened(Rehearsal(sqlite_url, hospital, forks)) as door:
        door.serve()
        door.post(VISIT)
        yield door


def asked(door: Door) -> Service:
    return Service(f"http://127.0.0.1:{door.port}", door.key, door.run.hospital.base_url)


def test_a_slow_hospital_is_waited_for(door: Door) -> None:
    door.run.hospital.faults.add(Failure(kind="stall-before", times=0, seconds=CALL))
    pid = door.run.forks.start(**door.run.order("drain"))
    shown = asked(door).delivered(f"/api/v1/sessions/{VISIT.id}")
    assert door.run.forks.end(pid) == 0
    assert [delivery["state"] for delivery in shown["deliveries"]] == ["delivered"]
    assert door.run.hospital.faults.spoilt["stall-before"] * CALL > 2 * STANDSTILL


def test_where_nothing_happens_it_is_told_how_far_it_came(door: Door) -> None:
    with pytest.raises(BridgeError, match="for 2 s: pending after 0 calls"):
        asked(door).delivered(f"/api/v1/sessions/{VISIT.id}")
