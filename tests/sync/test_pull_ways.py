"""Each way a server offers sees the same changes; one that offers none says so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pulling import change, delete, delivered, pulled, state
from ward import Clock, Spoiled, Ward

from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.sync.bridge import Bridge

NO_HISTORY = frozenset({"*.history-type"})
NO_WINDOW = NO_HISTORY | {"*.search._lastUpdated"}
NO_SEARCH = NO_WINDOW | {"*.search-type"}
WAYS = {"history": frozenset[str](), "window": NO_HISTORY, "sweep": NO_WINDOW, "reads": NO_SEARCH}


@pytest.fixture
def hospital(clock: Clock) -> Iterator[Ward]:
    chart = Chart(clock=clock)
    spoiled = Spoiled(create_app(load("hapi"), store=chart))
    with running(spoiled) as server:
        yield Ward(server.base_url, chart, spoiled)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def there(bridge: Bridge, session: dict[str, Any], way: str) -> Bridge:
    """A session is at the hospital, and this way of asking it is the best that is left."""
    delivered(bridge, session)
    return narrowed(bridge, WAYS[way])


def narrowed(bridge: Bridge, deny: frozenset[str]) -> Bridge:
    hospital = bridge.hospitals["general"]
    return replace(bridge, hospitals={"general": replace(hospital, site_file=SiteFile(deny=deny), known={})})


def test_our_own_writes_are_no_news_and_a_change_is_seen_once(there: Bridge, hospital: Ward, clock: Clock, way: str) -> None:
    first = pulled(there)
    assert first.whole, first.notes
    assert "changed" not in first.counts
    clock.pass_(minutes=30)
    moved = change(hospital, "Appointment", status="cancelled")
    assert pulled(there).counts["changed"] == 1
    assert state(there, moved).version == "2"
    clock.pass_(minutes=30)
    assert "changed" not in pulled(there).counts


def test_a_deleted_resource_is_a_tombstone_in_the_end(there: Bridge, hospital: Ward, clock: Clock, way: str) -> None:
    pulled(there)
    gone = delete(hospital, "Observation")
    for _ in range(2):
        clock.pass_(minutes=5)
        pulled(there)
    assert state(there, gone).gone
    again = pulled(there)
    assert "gone" not in again.counts


def test_each_way_says_in_words_how_it_looks(there: Bridge, way: str) -> None:
    said = pulled(there, "Observation").ways["Observation"]
    assert said.startswith("Observation: by ")
    words = {"history": "its history", "window": "what changed", "sweep": "each known patient's", "reads": "each linked resource"}
    assert words[way] in said


def test_a_hospital_that_offers_no_way_is_told_of(bridge: Bridge, session: dict[str, Any]) -> None:
    delivered(bridge, session)
    found = pulled(narrowed(bridge, NO_SEARCH | {"*.read"}), "Appointment")
    assert found.whole
    assert found.counts == {}
    assert found.notes == ("Appointment: this hospital offers no way to learn of changes; they are not seen here",)


def test_a_way_the_statement_offers_and_the_server_refuses_is_left_for_the_next(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    delivered(bridge, session)
    changed = change(hospital, "Appointment", status="cancelled")
    hospital.spoiled.answers.append(("GET", 405))
    found = pulled(bridge, "Appointment")
    assert (found.whole, found.counts["changed"]) == (True, 1)
    assert "although its statement offers the history" in found.notes[0]
    assert state(bridge, changed).version == "2"


def test_a_search_by_patient_that_is_refused_is_left_for_reading_each_resource(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    delivered(bridge, session)
    bridge = narrowed(bridge, NO_WINDOW)
    pulled(bridge)
    changed = change(hospital, "Appointment", status="cancelled")
    hospital.spoiled.answers.append(("POST", 400))
    found = pulled(bridge, "Appointment")
    assert (found.whole, found.counts["changed"], state(bridge, changed).version) == (True, 1, "2")
    assert "offers to search by patient" in found.notes[0]
