"""The clinic's own sessions move the referral they answer, at the hospital it came from, and at no other."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from test_matching import ROWAN, SENDER
from ward import CASES, CLINIC, Spoiled, Ward, post, work

from fhir_bridge import bootstrap, documents
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.settings import Hospital, Settings, Site
from fhir_bridge.store import audit, senders
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync import refer, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox
from fhir_bridge.sync.referrals.loop import LEADS, led
from fhir_bridge.sync.referrals.shape import TASK, Incoming

BODY = (CASES / "referred-biologic" / "inbound" / "task.json").read_bytes()
BUSINESS = {"scheduled": "5.1.1", "session-missed": "5.1.2", "session-cancelled": "5.1.3", "session-done": "5.1.4", "completed": "7.0"}


@pytest.fixture
def other(settings: Settings) -> Iterator[Ward]:
    """A second hospital of the same site."""
    chart = Chart()
    spoiled = Spoiled(create_app(load("hapi"), store=chart))
    with running(spoiled) as server:
        yield Ward(server.base_url, chart, spoiled)


@pytest.fixture
def settings_of_two(settings: Settings, other: Ward) -> Settings:
    hospitals = {**settings.hospitals, "other": Hospital("other", other.base_url)}
    return replace(settings, hospitals=hospitals, sites={"default": Site("default", hospitals=("general", "other"))})


def received(bridge: Bridge) -> str:
    refer.take(bridge, SENDER, Incoming(TASK, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    [found] = inbox.listing(bridge, "default")
    number: str = found["id"]
    return number


def treated(bridge: Bridge, session: dict[str, Any], referral: str, state: str, *, version: int = 1, **patient: Any) -> dict[str, Any]:
    """The clinic posts the session of the person referred, in this state."""
    document: dict[str, Any] = dict(session) if state == "completed" else {}
    person = ROWAN | {"id": "P-7"} | patient
    base: dict[str, Any] = {"id": "S-LOOP-1", "status": state, "version": version, "patient": person, "referral": {"id": referral}}
    return post(bridge, document | base)


def at(ward: Ward, bridge: Bridge) -> tuple[str, str]:
    work(bridge)
    [task] = ward.held("Task")
    return task["status"], task.get("businessStatus", {}).get("coding", [{}])[0].get("code", "")


def test_each_step_of_a_session_arrives_at_the_hospitals_task(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    id = received(bridge)
    inbox.decide(bridge, CLINIC, id, "accept")
    for version, (state, business) in enumerate(
        (("scheduled", "5.1.1"), ("no-show", "5.1.2"), ("scheduled", "5.1.1"), ("completed", "5.1.4")), 1
    ):
        treated(bridge, session, id, state, version=version)
        assert at(hospital, bridge) == ("in-progress", business)
    inbox.decide(bridge, CLINIC, id, "complete")
    assert at(hospital, bridge) == ("completed", "7.0")


def test_a_session_that_is_done_points_to_its_summary_at_the_hospital(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    id = received(bridge)
    treated(bridge, session, id, "completed")
    work(bridge)
    [task] = hospital.held("Task")
    named = {one["valueReference"]["type"]: one["valueReference"]["identifier"] for one in task["output"]}
    [document] = hospital.held("DocumentReference")
    [visit] = hospital.held("Encounter")
    assert named["DocumentReference"] in [{name: one[name] for name in ("system", "value")} for one in document["identifier"]]
    assert named["Encounter"]["value"] in [one["value"] for one in visit["identifier"]]


def test_the_sessions_and_the_referrals_patient_become_one(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    """The referral was first: the clinic gives the patient its own number, and the number of the hospital proves who it is."""
    id = received(bridge)
    treated(bridge, session, id, "completed")
    [found] = inbox.listing(bridge, "default")
    assert (found["match"]["verdict"], found["record"]["patient"]["id"]) == ("joined", "P-7")
    work(bridge)
    assert len(hospital.held("Patient")) == 1


def test_a_session_of_somebody_else_moves_nothing_and_asks_a_person(bridge: Bridge, session: dict[str, Any]) -> None:
    id = received(bridge)
    treated(bridge, session, id, "completed", family_name="Testwoman", hospital_numbers=[])
    [found] = inbox.listing(bridge, "default", undecided=True)
    assert (found["status"], found["version"]) == ("received", 1)
    shown = inbox.shown(bridge, "default", id) or {}
    assert [(one["patient"], list(one["differs"])) for one in shown["match"]["candidates"]] == [("P-7", ["family_name"])]
    with bridge.store.reading() as tx:
        assert "ask-whose-patient" in [entry.action for entry in audit.of_subject(tx, "default", f"referral/{id}")]


def test_a_session_that_names_no_referral_of_ours_is_a_session_like_any(bridge: Bridge, session: dict[str, Any]) -> None:
    assert treated(bridge, session, "R-0", "completed")["hospitals"] == ["general"]


def test_a_referral_and_its_session_go_only_to_the_hospital_it_came_from(
    settings_of_two: Settings, bridge: Bridge, hospital: Ward, other: Ward, session: dict[str, Any]
) -> None:
    two = bootstrap.bridge(settings_of_two)
    two.store.close()
    two = replace(two, store=bridge.store, clock=bridge.clock)
    with two.store.transaction() as tx:
        senders.put(tx, Sender("default", SENDER.id, "general"))
    id = received(two)
    assert treated(two, session, id, "completed")["hospitals"] == ["general"]
    assert at(hospital, two) == ("in-progress", "5.1.4")
    assert [other.held(kind) for kind in ("Patient", "Task", "ServiceRequest", "Encounter")] == [[], [], [], []]
    assert post(two, session)["hospitals"] == ["general", "other"]  # a session that answers no referral
    found = status.of_record(two, tenant="default", kind="referral", id=id) or {}
    assert {one["hospital"] for one in found["deliveries"]} == {"general"}


@pytest.mark.parametrize("state", LEADS)
def test_every_state_of_a_session_leads_somewhere_and_twice_is_once(state: str) -> None:
    before = {"referral": {"id": "R-1", "status": "accepted"}}
    once = led(before, "S-1", state)
    assert once["referral"]["status"] == LEADS[state]
    assert once["referral"]["sessions"] == [{"id": "S-1"}]
    assert ("summaries" in once["referral"]) == (LEADS[state] == "session-done")
    assert led(once, "S-1", state, was=state) == once


def test_a_correction_of_an_earlier_day_does_not_take_the_referral_back() -> None:
    first = led({"referral": {"id": "R-1", "status": "accepted"}}, "S-1", "completed")
    second = led(first, "S-2", "scheduled")
    assert led(second, "S-1", "completed", was="completed") == second


def test_a_session_entered_in_error_answers_nothing() -> None:
    done = led({"referral": {"id": "R-1", "status": "accepted"}}, "S-1", "completed")
    assert led(done, "S-1", "entered-in-error")["referral"] == {"id": "R-1", "status": "accepted"}
