"""What the hospital changes is seen once, by the best way its server offers, and our own writes are known again."""

from typing import Any

from pulling import change, delete, delivered, pulled, state
from ward import Clock, Ward

from fhir_bridge.store import pulls
from fhir_bridge.sync.bridge import Bridge


def test_what_we_wrote_ourselves_is_no_news(bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]) -> None:
    delivered(bridge, session)
    found = pulled(bridge)
    assert found.whole, found.notes
    assert (found.counts.get("changed", 0), found.counts.get("strangers", 0)) == (0, 0)
    assert found.counts["known"] == found.counts["entries"] > 5


def test_a_change_is_seen_once_and_a_deletion_leaves_a_tombstone(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    delivered(bridge, session)
    pulled(bridge)
    moved, gone = change(hospital, "Appointment", status="cancelled"), delete(hospital, "Observation")
    found = pulled(bridge)
    assert (found.counts["changed"], found.counts["gone"]) == (1, 1)
    assert (state(bridge, moved).version, state(bridge, gone).gone) == ("2", True)
    again = pulled(bridge)
    assert {"changed", "gone"}.isdisjoint(again.counts)
    with bridge.store.reading() as tx:
        assert [theirs for theirs, _ in pulls.tombstones(tx, "default", "general")] == [gone]


def test_of_what_is_not_ours_nothing_is_kept(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    delivered(bridge, session)
    hospital.chart.hold([{"resourceType": "Patient", "id": "somebody", "gender": "other"}])
    found = pulled(bridge, "Patient")
    assert found.counts["strangers"] == 1
    assert state(bridge, "Patient/somebody") is None


def test_a_dry_run_says_what_it_would_do_and_does_nothing(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    delivered(bridge, session)
    pulled(bridge)
    changed = change(hospital, "Appointment", status="cancelled")
    before = state(bridge, changed)
    assert pulled(bridge, dry_run=True).counts["changed"] == 1
    assert state(bridge, changed) == before
    assert pulled(bridge).counts["changed"] == 1
