"""Kept or not, when to try again, and what a statement says: the small pure parts."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.capabilities import SiteFile, difference, read
from fhir_bridge.hospital.kept import Comparison, compare
from fhir_bridge.hospital.retry import GIVE_UP_AFTER, LADDER, delay, given_up

STATEMENTS = Path(__file__).parents[2] / "fixtures" / "hospitals" / "statements"


def statement(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATEMENTS / f"{name}.json").read_text())
    return found


def observation(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", **more}


def test_the_same_by_meaning_is_kept() -> None:
    sent = observation(
        effectiveDateTime="2026-03-02T09:00:00-05:00", valueQuantity={"value": Decimal("36.80")}, subject={"reference": "Patient/1"}
    )
    held = observation(
        effectiveDateTime="2026-03-02T14:00:00Z", valueQuantity={"value": 36.8}, subject={"reference": "Patient/1/_history/2"}
    )
    assert compare(sent, held | {"id": "9", "meta": {"versionId": "1"}, "text": {"status": "generated"}}).whole


def test_changed_dropped_and_added_are_named_by_path() -> None:
    sent = observation(valueQuantity={"value": 72}, bodySite={"text": "arm"})
    held = observation(valueQuantity={"value": 73}, issued="2026-03-02T14:00:00Z")
    found = compare(sent, held)
    assert found.changed == ("Observation.valueQuantity.value",)
    assert found.dropped == ("Observation.bodySite.text",)
    assert found.added == ("Observation.issued",)
    assert "Observation.status" in found.kept


def test_a_list_in_another_order_is_kept_and_an_item_of_the_servers_is_added() -> None:
    sent = observation(identifier=[{"value": "a"}, {"value": "b"}])
    held = observation(identifier=[{"value": "server"}, {"value": "b"}, {"value": "a"}])
    found = compare(sent, held)
    assert (found.whole, found.added) == (True, ("Observation.identifier.value",))


def test_a_list_item_that_is_gone_is_dropped() -> None:
    found = compare(observation(identifier=[{"value": "a"}, {"value": "b"}]), observation(identifier=[{"value": "b"}]))
    assert found.dropped == ("Observation.identifier.value",)


def test_true_is_not_one() -> None:
    assert compare(observation(x=True), observation(x=1)).changed == ("Observation.x",)


documents = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda e: st.lists(e, max_size=3) | st.dictionaries(st.text(max_size=3), e, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), documents))
def test_what_came_back_as_it_was_sent_is_whole(document: dict[str, Any]) -> None:
    found = compare(document, document)
    assert (found.changed, found.dropped, found.added) == ((), (), ())


def test_nothing_held_means_everything_dropped() -> None:
    assert compare(observation(), {}) == Comparison(dropped=("Observation.resourceType", "Observation.status"))


@given(st.integers(-1, 60), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_step(attempt: int, random: float) -> None:
    step = LADDER[min(max(attempt, 1), len(LADDER)) - 1]
    assert step * 0.1 <= delay(attempt, random=random) <= step


def test_the_hospitals_wish_is_a_floor() -> None:
    assert delay(1, random=0.5, at_least=900) == 900


def test_it_is_given_up_after_seven_days() -> None:
    assert given_up(GIVE_UP_AFTER)
    assert not given_up(GIVE_UP_AFTER - 1)


@pytest.mark.parametrize(("name", "vendor"), [("hapi", "hapi"), ("epic", "epic"), ("oracle", "oracle"), ("athena", "athena")])
def test_the_vendor_is_seen_in_the_statement(name: str, vendor: str) -> None:
    assert read(statement(name)).vendor == vendor


def test_the_table_of_what_real_servers_take_holds_in_our_statements() -> None:
    epic, oracle, athena = (read(statement(name)) for name in ("epic", "oracle", "athena"))
    assert [server.of("Encounter").can("create") for server in (epic, oracle, athena)] == [False, True, False]
    assert [server.of("Observation").can("update") for server in (epic, oracle, athena)] == [True, True, False]
    assert [server.of("Task").can("update") for server in (epic, oracle, athena)] == [True, False, False]
    assert [sorted(server.system) for server in (epic, oracle, athena)] == [[], ["batch"], []]
    assert "identifier" not in oracle.of("Observation").search
    assert "_lastUpdated" not in oracle.of("Appointment").search


def test_the_site_file_adds_and_takes_away_and_taking_away_wins() -> None:
    site = SiteFile(
        known_good=frozenset({"Encounter.create", "Observation.search.identifier", "system.transaction", "Encounter.updateCreate"}),
        deny=frozenset({"Encounter.create", "Patient.*", "*.search.date"}),
    )
    found = read(statement("epic"), site=site)
    assert not found.of("Encounter").can("create")
    assert found.of("Encounter").update_create
    assert "transaction" in found.system
    assert found.of("Patient").interactions == frozenset()
    assert not any("date" in each.search for each in found.types.values())


def test_parameters_of_the_whole_server_count_for_every_type() -> None:
    document = statement("epic")
    document["rest"][0]["searchParam"] = [{"name": "_lastUpdated", "type": "date"}]
    assert "_lastUpdated" in read(document).of("Observation").search


@pytest.mark.parametrize(
    "document", [{}, {"resourceType": "OperationOutcome"}, {"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2", "rest": []}]
)
def test_what_is_no_r4_servers_statement_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read(document)


def test_a_statement_that_changed_is_told_in_sentences() -> None:
    old, document = read(statement("oracle")), statement("oracle")
    document["rest"][0].pop("interaction")
    document["rest"][0]["resource"] = [each for each in document["rest"][0]["resource"] if each["type"] != "Slot"]
    document["rest"][0]["resource"][0]["conditionalCreate"] = True
    told = difference(old, read(document))
    assert "The server lost the interaction batch." in told
    assert "Slot is no longer listed." in told
    assert "Patient gained the ability conditionalCreate." in told
    assert difference(old, old) == []
