"""What happens to whole resources, to fields that several resources say, and to records of every kind."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hand import change, open_conflicts, pulled, record
from ward import CASES, CLINIC, Clock, Ward, post, work

from fhir_bridge import documents
from fhir_bridge.hospital.client import Client
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.store import links
from fhir_bridge.sync import accept, conflicts
from fhir_bridge.sync.bridge import Bridge

Session = dict[str, Any]


@pytest.fixture
def sent(bridge: Bridge, session: Session) -> Session:
    """A session that the hospital has."""
    post(bridge, session)
    work(bridge)
    return session


@pytest.fixture
def referral(bridge: Bridge) -> Session:
    """An accepted referral that the hospital has."""
    found: Session = documents.loads((CASES / "referred-biologic" / "referral.json").read_bytes())
    found["referral"] |= {"status": "accepted"}
    found["referral"].pop("status_reason", None)
    digest = sha256(documents.dumps(found)).hexdigest()
    accept.accept(bridge, client=CLINIC, kind="referral", document=found, body_sha256=digest)
    work(bridge)
    return found


def follow_up(ward: Ward) -> Session:
    return next(one for one in ward.held("Appointment") if "FOLLOWUP" in str(one))


@pytest.mark.parametrize(("kind", "fields"), [("ServiceRequest", {"status": "revoked"}), ("Task", {"status": "cancelled"})])
def test_a_referral_that_the_hospital_withdraws_is_cancelled_in_the_clinics_record(
    bridge: Bridge, hospital: Ward, referral: Session, kind: str, fields: dict[str, str]
) -> None:
    change(hospital, kind, lambda one: one.update(fields))
    assert pulled(bridge, hospital)["applied"] == 1
    assert record(bridge, "referral", referral["referral"]["id"])["referral"]["status"] == "cancelled"
    work(bridge)
    assert (hospital.held("ServiceRequest")[0]["status"], hospital.held("Task")[0]["status"]) == ("revoked", "cancelled")


def test_an_order_made_more_urgent_by_the_hospital_is_so_in_the_clinics_record(bridge: Bridge, hospital: Ward, referral: Session) -> None:
    change(hospital, "ServiceRequest", lambda one: one.update(priority="stat"))
    pulled(bridge, hospital)
    assert record(bridge, "referral", referral["referral"]["id"])["referral"]["urgency"] == "stat"


def test_an_encounter_cancelled_at_the_hospital_is_a_conflict_because_the_session_is_the_clinics(
    bridge: Bridge, hospital: Ward, sent: Session
) -> None:
    change(hospital, "Encounter", lambda one: one.update(status="cancelled"))
    pulled(bridge, hospital)
    (found,) = [one for one in open_conflicts(bridge) if one.path == "status"]
    shown = conflicts.shown(bridge, "default", found.id)
    assert shown is not None
    assert (shown["ours"], shown["theirs"]) == ("completed", "cancelled")
    assert record(bridge, "session", sent["id"])["version"] == 1


def test_a_new_hospital_number_reaches_the_record(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    number = {"type": kind, "system": "urn:oid:2.999.7", "value": "SYN-7"}
    change(hospital, "Patient", lambda one: one["identifier"].insert(0, number))
    assert pulled(bridge, hospital)["applied"] == 1
    numbers = record(bridge, "session", sent["id"])["patient"]["hospital_numbers"]
    assert {"system": "urn:oid:2.999.7", "value": "SYN-7"} in numbers


def test_what_was_entered_in_error_there_is_shown_and_not_read(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    change(hospital, "Appointment", lambda one: one.update(status="entered-in-error"), id=follow_up(hospital)["id"])
    pulled(bridge, hospital)
    assert record(bridge, "session", sent["id"])["follow_up"]["status"] == "entered-in-error"
    change(hospital, "Communication", lambda one: one.update(status="entered-in-error"), id=hospital.held("Communication")[0]["id"])
    assert sum(pulled(bridge, hospital)[word] for word in ("conflict", "retracted")) == 1
    assert len(open_conflicts(bridge)) >= 1


def test_a_change_that_would_be_no_record_is_a_conflict(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    before = {"start": "2026-01-02T10:00:00Z", "end": "2026-01-02T10:30:00Z"}  # before the session it follows
    change(hospital, "Appointment", lambda one: one.update(before), id=follow_up(hospital)["id"])
    assert pulled(bridge, hospital)["conflict"] == 1
    assert record(bridge, "session", sent["id"])["version"] == 1
    count = conflicts.take_theirs_in(bridge, conflicts.Which("default"), who="anna")
    assert (count.done, len(count.left)) == (0, 2)
    assert follow_up(hospital)["start"] == before["start"]


def test_a_resource_of_ours_whose_answer_was_lost_is_adopted_and_not_made_again(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    with bridge.store.transaction() as tx:
        rows = links.page(tx, "default", "general", limit=1000)
        blank = [links.Link(one.tenant, one.hospital, one.ours, *[None] * 6, one.updated_at) for one in rows if "Appointment" in one.ours]
        links.refresh(tx, blank)
    assert pulled(bridge, hospital)["adopted"] == len(blank)
    assert pulled(bridge, hospital)["adopted"] == 0
    post(bridge, sent | {"version": 2})
    work(bridge)
    assert len(hospital.held("Appointment")) == len(blank)


def test_a_resource_changed_in_turn_by_both_sides_is_frozen_until_a_person_looked(
    bridge: Bridge, hospital: Ward, sent: Session, clock: Clock
) -> None:
    appointment = follow_up(hospital)["id"]
    for turn in range(1, 5):
        clock.now += timedelta(minutes=5)
        change(hospital, "Appointment", lambda one: one.update(minutesDuration=10 + turn), id=appointment)  # noqa: B023
        pulled(bridge, hospital)
        now = record(bridge, "session", sent["id"])
        clock.now += timedelta(minutes=5)
        post(bridge, now | {"version": now["version"] + 1, "follow_up": now["follow_up"] | {"created": f"2026-03-02T1{turn}:00:00-05:00"}})
        work(bridge)
    (frozen,) = [one for one in open_conflicts(bridge) if one.what == "frozen"]
    assert follow_up(hospital)["created"] == "2026-03-02T12:00:00-05:00"  # the second: the third turn froze it
    conflicts.keep_ours(bridge, tenant="default", id=frozen.id, who="anna")
    clock.now += timedelta(minutes=5)
    work(bridge)
    assert follow_up(hospital)["created"] == "2026-03-02T14:00:00-05:00"


def test_what_no_record_speaks_of_any_more_changes_nothing(bridge: Bridge, hospital: Ward, sent: Session) -> None:
    (ours,) = [f"Appointment/{one['id']}" for one in hospital.held("Appointment") if one["id"] == follow_up(hospital)["id"]]
    with bridge.store.transaction() as tx:
        links.leave(tx, "default", "general", [ours], kind="session", record_id=sent["id"])
    change(hospital, "Appointment", lambda one: one.update(status="noshow"), id=follow_up(hospital)["id"])
    assert pulled(bridge, hospital)["left"] == 1
    assert record(bridge, "session", sent["id"])["version"] == 1


def test_another_hospital_gets_what_one_changed_by_the_ordinary_way(bridge: Bridge, hospital: Ward, session: Session) -> None:
    chart = Chart()
    with running(create_app(load("hapi"), store=chart)) as server:
        north = replace(bridge.hospitals["general"], name="north", client=Client(server.base_url), known={})
        site = replace(bridge.sites["default"], hospitals=("general", "north"))
        both = replace(bridge, sites={"default": site}, hospitals={**bridge.hospitals, "north": north})
        post(both, session)
        work(both)
        change(hospital, "Patient", lambda one: one["name"][0].update(family="Synthetic-Married"))
        pulled(both, hospital)
        work(both)
        with chart.draft() as draft:
            (patient,) = [one.document for one in draft.every("Patient") if one.document]
        assert patient["name"][0]["family"] == "Synthetic-Married"
        assert pulled(both, hospital)["applied"] == 0
