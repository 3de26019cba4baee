"""What the hospital did and did not say: every record is held once in effect, or shown to a person as stopped."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from ward import Clock, Ward, post, state, work

from fhir_bridge.settings import Settings
from fhir_bridge.store import outbox
from fhir_bridge.sync import status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.deliver import drain
from fhir_bridge.sync.delivery import stopped


def test_a_500_after_the_hospital_stored_everything_makes_nothing_twice(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    post(bridge, session)
    hospital.spoiled.answers.append(("POST", 500))
    work(bridge)
    assert state(bridge, session)["state"] in ("ambiguous", "retry_wait")
    clock.pass_(minutes=2)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert set(hospital.versions("Observation")) == {1}


def test_a_hospital_that_is_down_for_days_stops_nothing(bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    hospital.spoiled.answers += [("POST", 503)] * 1000
    for _ in range(40):
        work(bridge)
        clock.pass_(hours=13)
    assert state(bridge, session)["state"] in ("ambiguous", "retry_wait")
    assert "out_since" in status.overview(bridge)["hospitals"][0]
    hospital.spoiled.answers.clear()
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"


def test_what_the_hospital_refuses_is_stopped_with_a_card_and_can_be_tried_again(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    hospital.spoiled.answers.append(("POST", 422))
    work(bridge)
    delivery = state(bridge, session)
    assert (delivery["state"], delivery["card"]["who"]) == ("dead", "clinic")
    assert status.overview(bridge)["dead"][0]["id"] == delivery["id"]
    stopped.retry(bridge, tenant="default", id=delivery["id"], who="admin")
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"


def test_a_corrected_session_frees_the_one_that_was_refused(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    hospital.spoiled.answers.append(("POST", 422))
    work(bridge)
    post(bridge, session | {"version": 2, "correction": {"reason": "mended", "at": "2026-03-03T08:00:00-05:00"}})
    work(bridge)
    assert (state(bridge, session)["state"], state(bridge, session)["version"]) == ("delivered", 2)


def test_a_worker_that_lost_its_lease_writes_nothing_more(bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    with bridge.store.transaction() as tx:
        slow = outbox.lease(tx, worker="slow", seconds=bridge.lease_seconds)
    assert slow is not None
    clock.pass_(seconds=bridge.lease_seconds + 1)
    work(bridge)
    before = len(hospital.spoiled.calls), state(bridge, session)
    with pytest.raises(outbox.LeaseLost):
        drain(bridge, slow)
    assert (len(hospital.spoiled.calls), state(bridge, session)) == before


@pytest.mark.parametrize("point", ["O2", "O3", "O4", "O8", "O9", "O10"])
def test_a_worker_killed_anywhere_leaves_each_resource_there_once(
    bridge: Bridge, settings: Settings, hospital: Ward, clock: Clock, session: dict[str, Any], point: str
) -> None:
    post(bridge, session)
    killed = _worker(settings, {"FHIR_BRIDGE_FAULT": f"{point}:kill:1"})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    clock.pass_(days=365 * 100)  # the killed worker's lease, taken by the machine's clock, is over
    work(bridge)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert all(set(hospital.versions(kind)) == {1} for kind in ("Patient", "Encounter", "Observation", "MedicationAdministration"))


def _worker(settings: Settings, fault: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    told = {
        "FHIR_BRIDGE_DATABASE_URL": settings.database_url.reveal(),
        "FHIR_BRIDGE_HOSPITAL": settings.hospitals["general"].base_url,
    }
    config = settings.database_url.reveal().removeprefix("sqlite:///") + ".toml"
    with open(config, "w") as file:
        file.write(f'[hospitals.general]\nbase_url = "{told.pop("FHIR_BRIDGE_HOSPITAL")}"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "fhir_bridge", "sync", "--push"],
        env={**environment, **told, **fault, "FHIR_BRIDGE_CONFIG": config},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
