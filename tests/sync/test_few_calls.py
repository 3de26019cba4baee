"""A session of a hundred resources costs the hospital a few calls, whatever happened on the way."""

from dataclasses import replace
from typing import Any

from ward import Clock, Ward, post, state, work

from fhir_bridge import documents
from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.sync.bridge import Bridge


def test_a_session_is_delivered_and_checked_in_one_call_for_each_hundred_resources(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    resources = state(bridge, session)["resources"]
    assert hospital.spoiled.calls == ["GET /fhir/metadata", *_one_a_hundred(resources)]
    assert all(sent["kept"]["whole"] for sent in resources)


def test_what_the_answer_does_not_show_is_read_in_a_batch(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    hospital.spoiled.deaf_to_prefer = True
    post(_with_batches(bridge), session)
    work(_with_batches(bridge))
    resources = state(bridge, session)["resources"]
    assert hospital.spoiled.calls == ["GET /fhir/metadata", *2 * _one_a_hundred(resources)]
    assert all(sent["kept"]["whole"] and sent["version"] == "1" for sent in resources)


def test_without_batches_it_is_read_one_by_one_with_the_same_verdicts(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    hospital.spoiled.deaf_to_prefer = True
    post(bridge, session)
    work(bridge)
    resources = state(bridge, session)["resources"]
    assert len([call for call in hospital.spoiled.calls if call.startswith("GET /fhir/")]) == 1 + len(resources)
    assert all(sent["kept"]["whole"] for sent in resources)


def test_a_batch_of_reads_that_is_refused_is_asked_one_by_one(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    hospital.spoiled.deaf_to_prefer = True
    post(_with_batches(bridge), session)
    hospital.spoiled.after("POST", 1, 400)
    work(_with_batches(bridge))
    assert state(bridge, session)["state"] == "delivered"
    assert all(sent["kept"]["whole"] for sent in state(bridge, session)["resources"])


def test_a_lost_answer_is_looked_for_by_a_search_for_each_type(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    post(bridge, session)
    hospital.spoiled.answers.append(("POST", 200))  # carried out, and answered with nothing in it
    work(bridge)
    before = len(hospital.spoiled.calls)
    clock.pass_(hours=1)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    looked = hospital.spoiled.calls[before:]
    types = {sent["ours"].partition("/")[0] for sent in state(bridge, session)["resources"]}
    assert len(looked) <= 2 * len(types), documents.pretty(looked)
    assert set(hospital.versions("Observation")) == {1}


def _one_a_hundred(resources: list[Any]) -> list[str]:
    return ["POST /fhir"] * -(-len(resources) // SiteFile().entries_per_call)


def _with_batches(bridge: Bridge) -> Bridge:
    general = bridge.hospitals["general"]
    return replace(bridge, hospitals={"general": replace(general, site_file=SiteFile(known_good=frozenset({"system.batch"})))})
