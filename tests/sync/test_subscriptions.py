"""The hospital says that something changed, over real HTTP both ways; what it says is a reason to look, and is not believed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import CapturingLogger
from ward import Clock, Ward, post, work

from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.hospital.client import Call, Client, Reply
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.subscriptions import Notifier, notifying
from fhir_bridge.store import schedules
from fhir_bridge.store import subscriptions as rows
from fhir_bridge.store.schedule_runs import Order
from fhir_bridge.sync import changes
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pulling.mode import TYPES
from fhir_bridge.sync.schedules import run
from fhir_bridge.sync.schedules.run import Limits
from fhir_bridge.sync.schedules.service import Scheduler
from fhir_bridge.sync.schedules.works import WORKS
from fhir_bridge.sync.telling import subscriptions
from fhir_bridge.web import create_app


@pytest.fixture
def ours(bridge: Bridge) -> Iterator[Bridge]:
    """The bridge with its web doors open, under the address that hospitals are told."""
    with running(create_app(bridge, log=CapturingLogger())) as server:
        yield replace(bridge, public_url=f"http://127.0.0.1:{server.port}")


@pytest.fixture
def notifier(hospital: Ward) -> Iterator[Notifier]:
    with notifying(hospital.chart) as found:
        yield found


def wanted(bridge: Bridge) -> list[str]:
    """The types that are to be pulled soon."""
    with bridge.store.reading() as tx:
        return [type for one in schedules.wanted(tx, tx.now) for type, _ in one.types]


def until(condition: Callable[[], bool]) -> bool:
    """Waits for what another thread does, ten seconds at most."""
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.02)
    return False


def all_active(hospital: Ward) -> bool:
    return [one["status"] for one in hospital.held("Subscription")] == ["active"] * len(TYPES)


def subscribed(ours: Bridge, hospital: Ward) -> None:
    subscriptions.keep(ours, tenant="default", hospital="general")
    assert until(lambda: all_active(hospital))


def addresses(hospital: Ward) -> dict[str, str]:
    return {one["criteria"].rstrip("?"): one["channel"]["endpoint"] for one in hospital.held("Subscription")}


def notify(address: str, body: Any = None) -> Reply:
    base, _, path = address.rpartition("/")
    reply = Client(base).send(Call("POST", path, body))
    assert isinstance(reply, Reply)
    return reply


def test_a_change_at_the_hospital_is_wanted_soon(ours: Bridge, hospital: Ward, notifier: Notifier, session: dict[str, Any]) -> None:
    subscribed(ours, hospital)
    assert wanted(ours) == []
    post(ours, session)
    work(ours)
    assert until(lambda: {"Patient", "Encounter", "Observation"} <= set(wanted(ours)))
    with ours.store.reading() as tx:
        known = {one.type: one for one in rows.listing(tx, "default")}
    assert known["Patient"].notifications >= 1
    assert known["Task"].notifications == 0


def test_each_pulled_type_has_an_address_of_its_own_that_nobody_can_guess(ours: Bridge, hospital: Ward, notifier: Notifier) -> None:
    subscribed(ours, hospital)
    found = addresses(hospital)
    assert set(found) == set(TYPES)
    tokens = {address.rpartition("/")[2] for address in found.values()}
    assert len(tokens) == len(TYPES)
    assert all(len(token) == 43 for token in tokens)  # 256 bits
    assert all("payload" not in one["channel"] for one in hospital.held("Subscription"))
    assert notify(f"{ours.public_url}/notifications/{'A' * 43}").status == 404
    assert wanted(ours) == []


def test_the_body_of_a_notification_is_not_read(ours: Bridge, hospital: Ward, notifier: Notifier) -> None:
    subscribed(ours, hospital)
    lie = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "evil", "deceasedBoolean": True}}]}
    assert notify(addresses(hospital)["Task"], lie).status == 204
    assert wanted(ours) == ["Task"]


def test_what_is_active_is_looked_at_once_a_day_and_what_is_not_at_every_pull(
    ours: Bridge, hospital: Ward, notifier: Notifier, clock: Clock
) -> None:
    subscribed(ours, hospital)
    subscriptions.keep(ours, tenant="default", hospital="general")  # sees that they are active
    hospital.spoiled.calls.clear()
    assert subscriptions.keep(ours, tenant="default", hospital="general") == []
    assert hospital.spoiled.calls == []
    clock.pass_(days=1, seconds=1)
    assert subscriptions.keep(ours, tenant="default", hospital="general") == []
    assert len([call for call in hospital.spoiled.calls if "/Subscription/" in call]) == len(TYPES)
    assert len(hospital.held("Subscription")) == len(TYPES)


def test_a_hospital_that_only_stores_the_subscription_is_told_of(ours: Bridge, hospital: Ward) -> None:
    """As HAPI's starter does when it comes: rest-hooks are off, `requested` stays."""
    for _ in range(2):
        notes = subscriptions.keep(ours, tenant="default", hospital="general")
        assert len(notes) == len(TYPES)
        assert "is requested, not active" in notes[0]
    assert len(hospital.held("Subscription")) == len(TYPES)


def test_one_that_is_gone_is_made_again_one_that_failed_is_set_going_and_one_turned_off_stays_off(
    ours: Bridge, hospital: Ward, notifier: Notifier, clock: Clock
) -> None:
    subscribed(ours, hospital)
    subscriptions.keep(ours, tenant="default", hospital="general")
    by_type = {one["criteria"].rstrip("?"): one for one in hospital.held("Subscription")}
    with hospital.chart.draft() as draft:
        draft.write("Subscription", by_type["Patient"]["id"], document=None, method="DELETE")
        for type, status in (("Task", "error"), ("Encounter", "off")):
            draft.write("Subscription", by_type[type]["id"], document=by_type[type] | {"status": status}, method="PUT")
    clock.pass_(days=1, seconds=1)
    notes = subscriptions.keep(ours, tenant="default", hospital="general")
    assert any(note.startswith("Encounter: the Subscription is off") for note in notes)

    def status() -> dict[str, str]:
        return {one["criteria"].rstrip("?"): one["status"] for one in hospital.held("Subscription")}

    assert until(lambda: status() == dict.fromkeys(TYPES, "active") | {"Encounter": "off"})
    after = {one["criteria"].rstrip("?"): one["id"] for one in hospital.held("Subscription")}
    assert after["Task"] == by_type["Task"]["id"]
    assert after["Patient"] != by_type["Patient"]["id"]


def test_a_lost_answer_leads_to_the_same_address(ours: Bridge, hospital: Ward, notifier: Notifier) -> None:
    hospital.spoiled.after("POST", 0, 502)  # carried out, and not told
    subscriptions.keep(ours, tenant="default", hospital="general")
    subscriptions.keep(ours, tenant="default", hospital="general")
    assert len(hospital.held("Subscription")) == len(TYPES) + 1
    assert len({one["channel"]["endpoint"] for one in hospital.held("Subscription")}) == len(TYPES)


def test_nothing_is_asked_where_it_is_not_offered_denied_or_we_have_no_address(ours: Bridge, bridge: Bridge, hospital: Ward) -> None:
    denied = replace(bridge.hospitals["general"], site_file=SiteFile(deny=frozenset({"Subscription.create"})))
    assert subscriptions.keep(replace(ours, hospitals={"general": denied}), tenant="default", hospital="general") == []
    assert subscriptions.keep(bridge, tenant="default", hospital="general") == []
    assert hospital.held("Subscription") == []


def test_what_the_hospital_moves_reaches_the_clinics_feed_without_waiting_for_the_next_pull(
    ours: Bridge, hospital: Ward, notifier: Notifier, session: dict[str, Any]
) -> None:
    post(ours, session)
    work(ours)
    pulled = run.carry_out(ours, run.begin(ours, Order("default", "pull", ("general",), "ann")), WORKS, limits=Limits())
    assert pulled.outcome == "done"
    assert until(lambda: all_active(hospital))
    cursor = changes.page(ours, "default", after=0, limit=100)["next"]
    assert wanted(ours) == []

    [appointment] = [one for one in hospital.held("Appointment") if one["status"] == "booked"]
    with hospital.chart.draft() as draft:
        draft.write("Appointment", appointment["id"], document=appointment | {"status": "cancelled"}, method="PUT")
    assert until(lambda: wanted(ours) == ["Appointment"])
    scheduler = Scheduler(ours)
    assert scheduler.tick() == 1
    scheduler.wait()

    told = changes.page(ours, "default", after=cursor, limit=100)["changes"]
    assert ("session.changed", "hospital:general") in {(one["what"], one["by"]) for one in told}
    assert wanted(ours) == []
