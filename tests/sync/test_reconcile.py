"""What is missing at the hospital, extra there or different is found, repaired the ordinary way, and counted when a pull missed it."""

from datetime import timedelta
from typing import Any

import pytest
from hand import change, delete, open_conflicts, record
from ward import Clock, Ward, post, work

from fhir_bridge.store import audit, links, pulls
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pull import pull
from fhir_bridge.sync.pulling.mode import TYPES
from fhir_bridge.sync.reconcile import Reconciled, reconcile


@pytest.fixture
def sent(bridge: Bridge, session: dict[str, Any]) -> dict[str, Any]:
    """A session that the hospital has."""
    post(bridge, session)
    work(bridge)
    return session


def compared(bridge: Bridge, *, repair: bool = False) -> Reconciled:
    return reconcile(bridge, tenant="default", hospital="general", who="anna", repair=repair)


def finds(result: Reconciled) -> list[tuple[str, str]]:
    return sorted((find.what, find.theirs.partition("/")[0]) for find in result.finds)


def one_of(ward: Ward, kind: str) -> str:
    return str(ward.held(kind)[0]["id"])


def test_after_a_delivery_both_sides_are_the_same(bridge: Bridge, hospital: Ward, sent: dict[str, Any]) -> None:
    result = compared(bridge)
    assert (finds(result), result.pull_missed, result.whole) == ([], 0, True)
    assert result.counts["same"] == sum(len(hospital.held(kind)) for kind in {path[0] for path in hospital.chart.versions})


def test_what_no_pull_reads_is_found_missing_and_different_and_is_repaired_by_cards_for_a_person(
    bridge: Bridge, hospital: Ward, sent: dict[str, Any]
) -> None:
    gone = one_of(hospital, "MedicationAdministration")
    delete(hospital, "MedicationAdministration", gone)
    change(hospital, "Procedure", lambda one: one["performedPeriod"].update(end="2026-03-02T20:00:00Z"))
    result = compared(bridge)
    assert finds(result) == [("different", "Procedure"), ("missing", "MedicationAdministration")]
    assert result.pull_missed == 0  # neither type is pulled
    assert open_conflicts(bridge) == []
    repaired = compared(bridge, repair=True)
    assert sum(repaired.repaired.values()) == 2
    assert {one.what for one in open_conflicts(bridge)} >= {"deleted"}
    again = compared(bridge)
    assert finds(again) == []
    assert again.counts["known"] >= 1


def test_what_a_pull_finds_is_no_find_of_the_reconciliation(bridge: Bridge, hospital: Ward, sent: dict[str, Any]) -> None:
    change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
    result = compared(bridge)
    assert (finds(result), result.pull_missed) == ([], 0)
    assert record(bridge, "session", sent["id"])["patient"]["family_name"] == "Synthetic-Married"


def test_what_the_pull_should_have_seen_is_a_counted_defect_and_is_repaired(
    bridge: Bridge, hospital: Ward, sent: dict[str, Any], clock: Clock
) -> None:
    pull(bridge, tenant="default", hospital="general")
    change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
    _skip(bridge)
    result = compared(bridge, repair=True)
    assert finds(result) == [("different", "Patient")]
    assert result.pull_missed == 1
    assert record(bridge, "session", sent["id"])["patient"]["family_name"] == "Synthetic-Married"
    with bridge.store.reading() as tx:
        (row,) = [row for row in audit.of_subject(tx, "default", "hospital/general") if row.action == "reconcile"]
    assert b'"pull_missed":1' in row.detail


def _skip(bridge: Bridge) -> None:
    """A pull that loses something: its watermark is far ahead of what it read."""
    with bridge.store.transaction() as tx:
        for kind in TYPES:
            taken = pulls.lease(tx, "default", "general", kind, holder="test", seconds=60)
            assert isinstance(taken, Pull)
            ahead = (taken.watermark or tx.now) + timedelta(days=3650)
            pulls.release(tx, pulls.move(tx, taken, seconds=60, watermark=ahead))


def test_a_resource_of_ours_without_a_link_is_extra_and_adopted(bridge: Bridge, hospital: Ward, sent: dict[str, Any]) -> None:
    with bridge.store.transaction() as tx:
        found = [row for row in links.page(tx, "default", "general", limit=1000) if row.ours.startswith("MedicationAdministration/")][:1]
        links.refresh(tx, [_without(row) for row in found])
    result = compared(bridge, repair=True)
    assert finds(result) == [("extra", "MedicationAdministration")]
    assert result.repaired == {"adopted": 1}
    assert finds(compared(bridge)) == []


def _without(row: links.Link) -> links.Link:
    return links.Link(row.tenant, row.hospital, row.ours, None, None, None, None, None, None, row.updated_at)


def test_a_second_resource_under_our_identifier_is_a_card(bridge: Bridge, hospital: Ward, sent: dict[str, Any]) -> None:
    twin = hospital.held("MedicationAdministration")[0] | {"id": "twin"}
    hospital.chart.hold([twin])
    result = compared(bridge, repair=True)
    assert finds(result) == [("extra", "MedicationAdministration")]
    assert [one.what for one in open_conflicts(bridge)] == ["duplicate"]
    assert finds(compared(bridge)) == []


def test_progress_is_told_and_a_hospital_that_does_not_answer_is_said(bridge: Bridge, hospital: Ward, sent: dict[str, Any]) -> None:
    told: list[str] = []
    result = reconcile(bridge, tenant="default", hospital="general", who="anna", tell=told.append)
    assert any("compared" in line for line in told)
    assert result.whole
    hospital.spoiled.answers = [("POST", 503)] * 50
    assert not compared(bridge).whole
