"""A hospital that was restored from a backup is not believed: the type is frozen, nothing is sent there, and a person decides."""

from typing import Any

import pytest
from pulling import change, delivered, pulled, state
from test_pull_ways import NO_HISTORY, NO_WINDOW, hospital, narrowed
from ward import Clock, Ward, post, work

from fhir_bridge.errors import Refused
from fhir_bridge.store import audit, hospitals
from fhir_bridge.sync import status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import hospital_state
from fhir_bridge.sync.pull import thaw

__all__ = ["hospital"]
WAYS = {"history": frozenset[str](), "window": NO_HISTORY, "sweep": NO_WINDOW}


@pytest.fixture(params=WAYS)
def restored(request: pytest.FixtureRequest, bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]) -> tuple[Bridge, str]:
    """The hospital changed an appointment, we saw it, and then it went back to its backup of the day before, and on from there."""
    delivered(bridge, session)
    asked = narrowed(bridge, WAYS[request.param])
    backup = len(hospital.chart.log)
    for word in ("pending", "waitlist"):
        changed = change(hospital, "Appointment", status=word)
    pulled(asked)
    assert state(asked, changed).version == "3"
    clock.pass_(minutes=7)
    hospital.chart.restore(backup)
    change(hospital, "Appointment", status="cancelled")
    return asked, changed


def test_the_type_is_frozen_and_deliveries_are_paused(restored: tuple[Bridge, str], session: dict[str, Any]) -> None:
    bridge, _ = restored
    found = pulled(bridge)
    assert not found.whole
    [said] = [note for note in found.notes if "restored from a backup" in note]
    assert said.startswith("Appointment went back to an older version")
    [frozen] = status.overview(bridge)["hospitals"][0]["frozen"]
    assert (frozen["type"], frozen["why"]) == ("Appointment", said.split(" Reading it")[0])
    with bridge.store.reading() as tx:
        assert hospitals.of(tx, "default", "general").paused_by == "pull"
        assert [entry.action for entry in audit.of_subject(tx, "default", "hospital/general")][-1] == "frozen"
    post(bridge, session | {"id": "S-AFTER", "patient": session["patient"] | {"id": "P-AFTER"}})
    assert work(bridge) == 0


def test_frozen_it_stays_until_a_person_thaws_it_and_then_the_hospital_is_believed(restored: tuple[Bridge, str], clock: Clock) -> None:
    bridge, theirs = restored
    pulled(bridge)
    clock.pass_(days=1)
    assert any(note.startswith("Appointment is frozen and not read") for note in pulled(bridge, "Appointment").notes)
    assert state(bridge, theirs).version == "3"
    thaw(bridge, tenant="default", hospital="general", type="Appointment", who="admin", why="restored last night")
    found = pulled(bridge, "Appointment")
    assert (found.whole, found.counts["changed"]) == (True, 1)
    assert state(bridge, theirs).version == "2"
    hospital_state.resume(bridge, tenant="default", hospital="general", who="admin", why="looked")
    with pytest.raises(Refused):
        thaw(bridge, tenant="default", hospital="general", type="Appointment", who="admin", why="again")


def test_what_was_just_written_and_is_not_shown_yet_freezes_nothing(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    """A server that writes in one place and reads in another shows yesterday for a moment."""
    delivered(bridge, session)
    changed = change(hospital, "Appointment", status="pending")
    pulled(bridge)
    backup = len(hospital.chart.log) - 1
    hospital.chart.restore(backup)
    clock.pass_(minutes=2)
    found = pulled(bridge, "Appointment")
    assert (found.whole, found.counts["unsettled"]) == (True, 1)
    assert state(bridge, changed).version == "2"
