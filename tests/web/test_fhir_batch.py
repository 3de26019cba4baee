"""A batch at the hospital's door: each entry is answered as the same request alone would be, and none knows of another."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_fhir_conditional import NUMBER, assert_outcome, numbered
from test_fhir_door import push, sent, stored

from fhir_bridge.fhir import check
from fhir_bridge.store import clients, sign_in
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web.fhir_batch import MOST

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def batch(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


def get(url: str, **more: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url, **more}}


def create(resource: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **more}}


def update(resource: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}", **more}}


def answers(client: FlaskClient, *entries: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    answer = push(client, batch(*entries), "/fhir", **headers)
    assert answer.status_code == 200, answer.data
    assert check.faults(answer.json) == []
    assert answer.json["type"] == "batch-response"
    assert len(answer.json["entry"]) == len(entries)
    found: list[dict[str, Any]] = answer.json["entry"]
    return found


def statuses(entries: list[dict[str, Any]]) -> list[str]:
    return [one["response"]["status"][:3] for one in entries]


def test_each_entry_stands_alone(hospital: FlaskClient, bridge: Bridge):
    made = answers(hospital, create(numbered("1")), create({"resourceType": "ServiceRequest"}), create(numbered("2")), get("Task/unknown"))
    assert statuses(made) == ["201", "400", "201", "404"]
    assert sorted(one["referral"]["placer"]["value"] for one in stored(bridge)) == ["1", "2"]
    assert [one["response"]["outcome"]["issue"][0]["code"] for one in (made[1], made[3])] == ["structure", "not-found"]
    for one in (made[0], made[2]):
        assert one["response"]["location"].endswith(f"ServiceRequest/{one['resource']['id']}/_history/1")
        assert one["response"]["etag"] == 'W/"1"'


def test_an_entry_is_answered_as_the_request_alone_is(hospital: FlaskClient):
    push(hospital, sent("service-request"))
    order = hospital.get("/fhir/ServiceRequest").json["entry"][0]["resource"]
    urls = [
        f"ServiceRequest/{order['id']}",
        f"ServiceRequest/{order['id']}/_history/1",
        f"ServiceRequest/{order['id']}/_history",
        "Task?status=received&_count=1",
        f"ServiceRequest?{NUMBER}",
        f"ServiceRequest?{NUMBER.replace('|', '%7C')}",
        "Patient/unknown",
        "Patient?colour=blue:",
        "Practitioner/1",
        "metadata",
        "ServiceRequest?_format=xml",
        "Task/a%20b",
        "Task/%2e%2e/metadata",
    ]
    for url, made in zip(urls, answers(hospital, *map(get, urls)), strict=True):
        alone = hospital.get(f"/fhir/{url}")
        assert made["response"]["status"][:3] == alone.status[:3], url
        told = made.get("resource") or made["response"]["outcome"]
        if told["resourceType"] != "OperationOutcome":
            assert told == alone.json
            assert made["response"].get("etag") == alone.headers.get("ETag")


def test_conditions_of_an_entry_are_heeded(hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    order = hospital.get("/fhir/ServiceRequest").json["entry"][0]["resource"]
    made = answers(
        hospital,
        get(f"ServiceRequest/{order['id']}", ifNoneMatch='W/"1"'),
        create(sent("service-request") | {"priority": "stat"}, ifNoneExist=NUMBER),
        update(order | {"priority": "stat"}, ifMatch='W/"9"'),
        update(order | {"priority": "stat"}, ifMatch='W/"1"'),
        update(order | {"priority": "routine"}, ifMatch='W/"1"'),
    )
    assert statuses(made) == ["304", "200", "412", "200", "412"]
    assert "resource" not in made[0]
    assert sorted(one["referral"]["urgency"] for one in stored(bridge)) == ["stat", "urgent"]


def test_conditions_and_ids_of_the_bundles_own_request_hold_for_no_entry(hospital: FlaskClient, bridge: Bridge):
    told = {"If-None-Exist": "status=active", "If-Match": 'W/"9"', "X-Request-ID": "once", "X-Correlation-ID": "together"}
    assert statuses(answers(hospital, create(numbered("1")), create(numbered("2")), **told)) == ["201", "201"]
    assert len(stored(bridge)) == 2
    again = answers(hospital, create(numbered("1")), create(numbered("2")), **told)
    assert statuses(again) == ["201", "201"]  # the very same orders: the first answers again
    assert len(stored(bridge)) == 2


def test_prefer_holds_for_every_entry(hospital: FlaskClient):
    [made] = answers(hospital, create(numbered("1")), Prefer="return=minimal")
    assert ("resource" in made, made["response"]["status"]) == (False, "201 Created")


def test_what_cannot_be_an_entry_is_refused_in_its_place(hospital: FlaskClient, bridge: Bridge):
    inner = batch(get("Task"))
    wrong = [
        {"resource": inner, "request": {"method": "POST", "url": "/"}},
        {"resource": inner, "request": {"method": "POST", "url": "http://localhost/fhir"}},
        get("https://elsewhere.example/fhir/Task"),
        get("../api/v1/referrals"),
        get("//api/v1/referrals"),
        get("Task/1#x"),
    ]
    assert set(statuses(answers(hospital, *wrong))) <= {"400", "404"}
    [refused] = answers(hospital, {"request": {"method": "DELETE", "url": "Task/1"}})
    assert refused["response"]["status"] == "405 Method Not Allowed"
    assert refused["response"]["outcome"]["issue"][0]["code"] == "not-supported"
    assert stored(bridge) == []


def test_entries_do_not_refer_to_each_other(hospital: FlaskClient):
    document = sent("transaction") | {"type": "batch"}
    made = push(hospital, document, "/fhir").json["entry"]
    assert statuses(made)[-1] == "422"


LOOK = {"request": {"method": "LOOK", "url": "Task"}}
NONE: list[Any] = [[{}], [None], [1], ["a"], {}, "x", None, [], [{"request": {}}], [get("")], [LOOK], [get("Task")] * (MOST + 1)]


def test_a_bundle_that_is_none_is_refused_whole(hospital: FlaskClient):
    for entries in NONE:
        assert_outcome(push(hospital, {"resourceType": "Bundle", "type": "batch", "entry": entries}, "/fhir"), 400, "structure")


def test_a_batch_of_nothing_is_refused_and_another_type_is_no_batch(hospital: FlaskClient):
    assert_outcome(push(hospital, {"resourceType": "Bundle", "type": "batch"}, "/fhir"), 400, "structure")
    assert_outcome(push(hospital, {"resourceType": "Task", "type": "batch"}, "/fhir"), 400, "structure")


def test_an_entry_needs_its_own_scope_and_finds_only_its_senders_own(clinic: SignIn, hospital: FlaskClient, bridge: Bridge):
    push(hospital, sent("service-request"))
    order = hospital.get("/fhir/ServiceRequest").json["entry"][0]["resource"]
    with bridge.store.transaction() as tx:
        client = clients.of_id(tx, "north", "north-hospital")
        assert client is not None
        token = sign_in.give_token(tx, client, scopes="system/ServiceRequest.cr", now=tx.now, ends_at=tx.now + timedelta(minutes=5))
    narrow = hospital.application.test_client()
    narrow.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    entries = [get(f"ServiceRequest/{order['id']}"), get("ServiceRequest"), get("Task"), update(order | {"priority": "stat"})]
    assert statuses(answers(narrow, *entries)) == ["200", "403", "403", "403"]
    foreign = clinic("south", kind="hospital")
    made = answers(foreign, *entries)
    assert statuses(made) == ["404", "200", "200", "404"]
    assert [one["resource"].get("entry", []) for one in made[1:3]] == [[], []]
    assert "SYN" not in json.dumps(made)


def test_a_batch_of_many_creates_is_taken_whole(hospital: FlaskClient, bridge: Bridge):
    made = answers(hospital, *(create(numbered(str(number))) for number in range(MOST)))
    assert set(statuses(made)) == {"201"}
    assert len({one["resource"]["id"] for one in made}) == len(stored(bridge)) == MOST
