"""What a refusal costs: the guilty entry where each stands alone, the whole where all or nothing was asked for, nothing in an outage."""

from dataclasses import replace
from typing import Any

import pytest
import requests
from ward import Clock, Ward, post, state, work

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.errors import Fault
from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.hospital.parts import Step, Write
from fhir_bridge.hospital.reply import Ambiguous, Dead
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery.call import Result, result_of
from fhir_bridge.sync.delivery.job import Outage, Stopped, Wait

BATCHES = SiteFile(known_good=frozenset({"system.batch"}), deny=frozenset({"system.transaction", "*.updateCreate"}))
PLAIN = SiteFile(deny=frozenset({"system.transaction", "*.updateCreate", "*.conditionalCreate", "*.conditionalUpdate"}))


def test_a_server_that_says_the_same_five_times_has_a_data_error(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    hospital.spoiled.words = "NullPointerException in the billing hook"
    hospital.spoiled.answers += [("POST", 500)] * 5
    post(bridge, session)
    for _ in range(4):
        work(bridge)
        assert state(bridge, session)["state"] == "retry_wait"
        clock.pass_(hours=1)
    work(bridge)
    delivery = state(bridge, session)
    assert (delivery["state"], delivery["reason"]) == ("dead", "data-error")
    assert "NullPointer" not in documents.dumps({name: delivery[name] for name in ("state", "reason", "attempts")}).decode()


def test_a_server_in_maintenance_may_say_so_as_often_as_it_likes(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    hospital.spoiled.words = "down for maintenance"
    hospital.spoiled.answers += [("POST", 503)] * 8
    post(bridge, session)
    for _ in range(9):
        work(bridge)
        clock.pass_(hours=13)
    assert state(bridge, session)["state"] == "delivered"


def test_of_a_batch_what_came_through_is_kept_and_the_rest_is_named(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    bridge = _with(bridge, BATCHES)
    twin = _vital(bridge, session)
    for _ in range(2):  # somebody there made it twice: a conditional create cannot choose
        bare = {name: value for name, value in twin.items() if name not in ("id", "subject", "encounter")}
        requests.post(f"{hospital.base_url}/Observation", json=documents.loads(documents.dumps(bare)), timeout=5).raise_for_status()
    post(bridge, session)
    work(bridge)
    delivery = state(bridge, session)
    assert (delivery["state"], delivery["reason"]) == ("dead", "duplicates-at-hospital")
    others = [sent for sent in delivery["resources"] if sent["ours"].startswith("Observation/")]
    assert len(others) > 50
    assert all(sent["kept"]["whole"] for sent in others)


def test_a_batch_that_is_refused_whole_is_divided_until_the_guilty_entry_is_alone(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    bridge = _with(bridge, BATCHES)
    post(bridge, session)
    hospital.spoiled.after("POST", 1, 400)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert "refused" in [attempt["outcome"] for attempt in state(bridge, session)["attempts"]]
    assert set(hospital.versions("Observation")) == {1}


@pytest.mark.parametrize("rung", ["transaction", "batch"])
def test_only_a_batch_is_divided_for_a_refusal_and_a_transaction_names_its_guilty_entry(rung: Any) -> None:
    writes = tuple(Write(f"Observation/{name}", "put", {"id": name}, "") for name in "ab")
    refused = Dead("refused", (Fault("Bundle.entry[1]", "no"),), 422, keys=("Observation/b",), divisible=True)
    found = result_of(refused, Step(rung, writes, ""))
    if rung == "batch":
        assert found == Result("refused", divide=True)
    else:
        assert isinstance(found.end, Stopped)
        assert [fault.path for fault in found.end.faults] == ["Observation/b", "Bundle.entry[1]"]


def test_an_ambiguous_answer_waits_as_long_as_the_hospital_said_and_tells_its_breaker() -> None:
    step = Step("single", (Write("Observation/a", "look-then-create", {"id": "a"}, ""),), "")
    found = result_of(Ambiguous("failed", 503, after=120, breaker=True), step).end
    assert isinstance(found, Outage)
    assert (found.after, found.doubt) == (120, True)
    quiet = result_of(Ambiguous("a page of a proxy", 200), step).end
    assert isinstance(quiet, Wait)
    assert not isinstance(quiet, Outage)


def test_a_plain_create_whose_answer_was_lost_is_found_and_adopted(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    bridge = _with(bridge, PLAIN)
    post(bridge, session)
    hospital.spoiled.answers += [("POST", 0), ("POST", 500)]
    for _ in range(3):
        work(bridge)
        clock.pass_(hours=1)
    assert state(bridge, session)["state"] == "delivered"
    assert "found" in [attempt["outcome"] for attempt in state(bridge, session)["attempts"]]
    assert all(set(hospital.versions(kind)) == {1} for kind in ("Patient", "Encounter", "Observation"))
    assert len(hospital.held("Patient")) == len(hospital.held("Encounter")) == 1


def test_a_plain_create_that_is_not_found_waits_out_the_settle_time_before_it_is_sent_again(
    bridge: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    bridge = _with(bridge, PLAIN)
    post(bridge, session)
    hospital.spoiled.answers += [("POST", 0), ("POST", 503)]  # a look that passes, then a create that never arrives
    work(bridge)
    assert state(bridge, session)["state"] == "ambiguous"
    clock.pass_(hours=1)
    for _ in range(2):
        work(bridge)
        assert (state(bridge, session)["state"], len(hospital.held("Encounter"))) == ("ambiguous", 0)
        clock.pass_(minutes=5)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    assert "absent" in [attempt["outcome"] for attempt in state(bridge, session)["attempts"]]
    assert len(hospital.held("Patient")) == len(hospital.held("Encounter")) == 1


def _with(bridge: Bridge, site_file: SiteFile) -> Bridge:
    return replace(bridge, hospitals={"general": replace(bridge.hospitals["general"], site_file=site_file)})


def _vital(bridge: Bridge, session: dict[str, Any]) -> dict[str, Any]:
    written = bridge.sites["default"].mapping.to_fhir(records.load("session", session, zone=None)).resources
    return next(one for one in written if one["resourceType"] == "Observation" and "valueQuantity" in one)
