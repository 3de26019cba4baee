"""Epic and Oracle Health tell no changes of a type: what is linked there is read again, patient by patient."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pulling import change, delete, pulled, state
from ward import Clock, Spoiled, Ward, post, work

from fhir_bridge import bootstrap
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.sandbox.traffic import RULES, Visit, fixed
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge


@pytest.fixture(params=["epic", "oracle"])
def like(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def hospital(like: str, clock: Clock) -> Iterator[Ward]:
    chart = Chart(clock=clock)
    chart.hold(fixed())
    spoiled = Spoiled(create_app(load(like), store=chart))
    with running(spoiled) as server:
        yield Ward(server.base_url, chart, spoiled)


@pytest.fixture
def settings(sqlite_url: str, hospital: Ward, like: str) -> Settings:
    return Settings(
        database_url=Secret(sqlite_url),
        sites={"default": Site("default", hospitals=("general",))},
        hospitals={"general": Hospital("general", hospital.base_url, rules=RULES.get(like, {}))},
    )


@pytest.fixture
def there(settings: Settings, clock: Clock, like: str) -> Iterator[Bridge]:
    """Two patients' visits are at the hospital."""
    bootstrap.prepare(settings)
    made = bootstrap.bridge(settings)
    made.store.close()
    bridge = replace(made, store=Store(settings.database_url.reveal(), clock=clock), clock=clock)
    for number in range(2):
        post(bridge, Visit(number, patient=number, like=like).document())
    work(bridge)
    yield bridge
    bridge.store.close()


def test_what_changes_and_what_is_deleted_there_is_seen_once(there: Bridge, hospital: Ward, clock: Clock) -> None:
    first = pulled(there)
    assert first.whole, first.notes
    assert {"changed", "gone"}.isdisjoint(first.counts)
    clock.pass_(hours=1)
    changed = change(hospital, "Observation", number=0, status="amended")
    gone = delete(hospital, "Observation", number=1)
    found = pulled(there)
    assert (found.counts["changed"], found.counts["gone"]) == (1, 1), found
    assert (state(there, changed).version, state(there, gone).gone) == ("2", True)
    assert {"changed", "gone"}.isdisjoint(pulled(there).counts)


def test_a_sweep_that_was_cut_short_goes_on_with_the_next_patient(there: Bridge, hospital: Ward, clock: Clock) -> None:
    pulled(there)
    hospital.spoiled.after("POST", 1, 503)
    first = pulled(there, "Observation")
    assert not first.whole
    asked = len(hospital.spoiled.calls)
    assert pulled(there, "Observation").whole
    assert hospital.spoiled.calls[asked:] == ["POST /fhir/Observation/_search"]


def test_no_patients_id_stands_in_the_address_of_a_search(there: Bridge, hospital: Ward) -> None:
    hospital.spoiled.calls.clear()
    pulled(there, "Observation")
    assert set(hospital.spoiled.calls) == {"POST /fhir/Observation/_search"}
