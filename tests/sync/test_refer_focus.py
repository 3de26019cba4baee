"""A Task whose order is at its sender: answered at once, fetched afterwards where that is allowed, and closed at the sender's own Task."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from desk import Desk, desk
from hand import open_conflicts, pulled
from ward import CASES, CLINIC, Clock, Ward, work

from fhir_bridge import documents
from fhir_bridge.clock import utc_now
from fhir_bridge.errors import Refused
from fhir_bridge.fhir import check
from fhir_bridge.hospital.exchange import Call
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.store import clients, fetches, referrals, senders
from fhir_bridge.store.clients import Client
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import fetch, inbox, orphans
from fhir_bridge.sync.referrals import held as refer_held
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import TASK, Incoming

SENT = json.loads((CASES / "referred-biologic" / "inbound" / "task.json").read_bytes())
GENERAL = Client("default", "general", "Invented General Hospital", "hospital", utc_now())
INSIDE = {one["id"]: one for one in SENT["contained"]}


def apart(base: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The Task alone, and what it contained as resources of a server at `base`, by path."""
    text = json.dumps({key: value for key, value in SENT.items() if key != "contained"} | {"id": "task-1"})
    inside = json.dumps(list(INSIDE.values()))
    for id, one in INSIDE.items():
        text, inside = (each.replace(f'"#{id}"', f'"{one["resourceType"]}/{id}"') for each in (text, inside))
    task = json.loads(text.replace('"ServiceRequest/order"', f'"{base}/ServiceRequest/order"'))
    return task, {f"/{one['resourceType']}/{one['id']}": one for one in json.loads(inside)}


@pytest.fixture
def sender() -> Iterator[Desk]:
    with desk() as found:
        yield found


@pytest.fixture
def allowed(bridge: Bridge, sender: Desk) -> Bridge:
    """A bridge that may fetch at the sender's desk, where all is that its Task refers to."""
    with bridge.store.transaction() as tx:
        clients.add(tx, tenant="default", id="general", name="General", kind="hospital", now=tx.now)
        senders.put(tx, Sender("default", "general", None, sender.url))
    sender.documents |= apart(sender.url)[1]
    return replace(bridge, outside=Outside(networks=["127.0.0.0/8"]))


def push(bridge: Bridge, task: dict[str, Any]) -> Answer:
    body = json.dumps(task).encode()
    return refer.take(bridge, GENERAL, Incoming(TASK, body, documents.loads(body), "https://clinic.example/fhir"))


def shown(bridge: Bridge, answer: Answer) -> dict[str, Any]:
    found = refer_held.read(bridge, GENERAL, "Task", (answer.body or {})["id"])
    assert found is not None
    assert check.faults(found.body or {}) == []
    return found.body or {}


def test_the_answer_is_there_before_anything_is_fetched(allowed: Bridge, sender: Desk) -> None:
    answer = push(allowed, apart(sender.url)[0])
    assert (answer.status, sender.calls) == (201, [])
    assert answer.headers["Location"].startswith("https://clinic.example/fhir/Task/")
    assert (shown(allowed, answer)["status"], shown(allowed, answer)["businessStatus"]) == (
        "received",
        {"text": "the order is being fetched"},
    )
    assert inbox.listing(allowed, "default") == []


def test_what_is_fetched_is_the_referral_that_would_have_been_sent_along(allowed: Bridge, sender: Desk) -> None:
    answer = push(allowed, apart(sender.url)[0])
    work(allowed)
    [found] = inbox.listing(allowed, "default")
    expected = json.loads((CASES / "referred-biologic" / "inbound" / "record.json").read_text())
    got = found["record"]["referral"]
    told = {name: said for name, said in expected["referral"].items() if name != "requested_at"}  # later than the test's day
    assert {name: said for name, said in got.items() if name != "received_at"} == told | {"id": got["id"]}
    assert found["record"]["patient"] == expected["patient"]
    assert shown(allowed, answer)["status"] == "received"
    inbox.decide(allowed, CLINIC, found["id"], "accept")
    assert shown(allowed, answer)["status"] == "accepted"
    with allowed.store.reading() as tx:
        [kept] = referrals.messages_of(tx, "default", found["id"])
    assert documents.loads(kept.body)["entry"][0]["resource"]["id"] == "task-1"
    assert (inbox.shown(allowed, "default", found["id"]) or {})["left_out"]


def test_the_same_task_again_is_fetched_once(allowed: Bridge, sender: Desk) -> None:
    first = push(allowed, apart(sender.url)[0])
    work(allowed)
    calls = len(sender.calls)
    assert push(allowed, apart(sender.url)[0]).body["id"] == (first.body or {})["id"]
    work(allowed)
    assert len(sender.calls) == calls
    assert len(inbox.listing(allowed, "default")) == 1


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "http://127.0.0.1:9", "https://fhir.hospital.example.evil.example"])
def test_an_address_the_client_may_not_name_is_refused_and_kept(allowed: Bridge, sender: Desk, elsewhere: str) -> None:
    with pytest.raises(Refused, match=r"Task.focus: is at an address that this client may not name"):
        push(allowed, apart(elsewhere)[0])
    assert work(allowed) == 0
    assert sender.calls == []


@pytest.mark.parametrize(
    "path", ["/Observation/1", "/ServiceRequest", "/ServiceRequest/1?x=/ServiceRequest/1", "/r4/../ServiceRequest/1", "/ServiceRequest/a b"]
)
def test_an_address_of_something_else_is_refused(allowed: Bridge, sender: Desk, path: str) -> None:
    with pytest.raises(Refused, match=r"Task\.focus"):
        push(allowed, apart(sender.url)[0] | {"focus": {"reference": f"{sender.url}{path}"}})
    assert sender.calls == []


def test_nothing_is_fetched_from_elsewhere_than_the_orders_own_server(allowed: Bridge, sender: Desk) -> None:
    order = sender.documents["/ServiceRequest/order"]
    sender.documents["/ServiceRequest/order"] = order | {"supportingInfo": [{"reference": "https://evil.example/fhir/DocumentReference/1"}]}
    push(allowed, apart(sender.url)[0])
    work(allowed)
    assert len(inbox.listing(allowed, "default")) == 1
    assert sorted(sender.calls) == sorted(set(sender.calls))
    assert not any("DocumentReference" in call for call in sender.calls)


@pytest.mark.parametrize("failure", [503, 401, 429])
def test_a_server_that_is_away_is_asked_again(allowed: Bridge, sender: Desk, clock: Clock, failure: int) -> None:
    sender.next = [failure]
    answer = push(allowed, apart(sender.url)[0])
    work(allowed)
    assert shown(allowed, answer)["status"] == "received"
    assert inbox.listing(allowed, "default") == []
    clock.pass_(hours=1)
    work(allowed)
    assert len(inbox.listing(allowed, "default")) == 1


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        ("/ServiceRequest/order", "the sender's server answered 404 instead of the ServiceRequest"),
        ("/Patient/patient", "the sender's server answered 404 instead of the Patient"),
    ],
)
def test_what_cannot_be_had_is_told_to_the_sender_and_to_a_person(allowed: Bridge, sender: Desk, gone: str, why: str) -> None:
    missing = sender.documents.pop(gone)
    answer = push(allowed, apart(sender.url)[0])
    work(allowed)
    task = shown(allowed, answer)
    assert (task["status"], task["statusReason"]["text"]) == ("failed", why)
    [stuck] = orphans.of_site(allowed, "default")
    assert (stuck["stuck"], stuck["who"], why in stuck["do"]) == ("not-fetched", "hospital", True)
    sender.documents[gone] = missing
    push(allowed, apart(sender.url)[0])  # sent again
    work(allowed)
    assert shown(allowed, answer)["status"] == "received"
    assert orphans.of_site(allowed, "default") == []


def test_what_is_away_for_days_is_given_up(allowed: Bridge, sender: Desk, clock: Clock) -> None:
    answer = push(allowed, apart(sender.url)[0])
    for _ in range(2):
        sender.next = [503]
        work(allowed)
        clock.pass_(days=4)
    assert shown(allowed, answer)["status"] == "failed"


def test_a_client_whose_key_was_taken_away_has_nothing_fetched(allowed: Bridge, sender: Desk) -> None:
    push(allowed, apart(sender.url)[0])
    with allowed.store.transaction() as tx:
        clients.revoke(tx, tenant="default", id="general", now=tx.now)
    work(allowed)
    assert sender.calls == []


def test_a_fetch_that_was_stored_and_not_written_down_is_one_referral(allowed: Bridge, sender: Desk, clock: Clock) -> None:
    """A worker that dies between the two: the next one fetches again."""
    push(allowed, apart(sender.url)[0])
    with allowed.store.transaction() as tx:
        claimed = fetches.claim(tx, seconds=60)
    assert claimed is not None
    fetch._take(allowed, replace(claimed, tries=-1))  # nothing is settled under this number
    assert len(inbox.listing(allowed, "default")) == 1
    clock.pass_(minutes=2)
    work(allowed)
    [found] = inbox.listing(allowed, "default")
    assert found["version"] == 1
    with allowed.store.reading() as tx:
        settled = fetches.of(tx, "default", claimed.id)
    assert settled is not None
    assert (settled.state, settled.referral) == ("fetched", found["id"])


def test_a_task_taken_back_by_the_same_way_cancels_its_referral(allowed: Bridge, sender: Desk) -> None:
    task = apart(sender.url)[0]
    first = push(allowed, task)
    work(allowed)
    push(allowed, task | {"status": "cancelled", "statusReason": {"text": "The patient moved away."}})
    work(allowed)
    [found] = inbox.listing(allowed, "default")
    assert (found["status"], found["record"]["referral"]["status_reason"]) == ("cancelled", "The patient moved away.")
    assert shown(allowed, first)["status"] == "cancelled"


def test_another_sender_does_not_read_it(allowed: Bridge, sender: Desk) -> None:
    answer = push(allowed, apart(sender.url)[0])
    foreign = Client("default", "other", "Other", "hospital", utc_now())
    assert refer_held.read(allowed, foreign, "Task", (answer.body or {})["id"]) is None


def test_the_hospitals_own_task_is_updated_and_none_is_made_beside_it(bridge: Bridge, hospital: Ward) -> None:
    task, rest = apart(hospital.base_url)
    with bridge.store.transaction() as tx:
        clients.add(tx, tenant="default", id="general", name="General", kind="hospital", now=tx.now)
        senders.put(tx, Sender("default", "general", "general"))
    own = task | {"focus": {"reference": "ServiceRequest/order"}, "note": [{"text": "Call the ward first."}]}
    for one in (*rest.values(), own):
        assert bridge.hospitals["general"].client.send(_put(one)).status in (200, 201)
    push(bridge, task)
    work(bridge)
    [id] = [one["id"] for one in inbox.listing(bridge, "default")]
    inbox.decide(bridge, CLINIC, id, "accept")
    work(bridge)
    [found] = hospital.held("Task")
    assert (found["id"], found["status"], found["note"]) == ("task-1", "accepted", own["note"])
    assert [one["id"] for one in hospital.held("ServiceRequest")] == ["order"]
    assert [one["id"] for one in hospital.held("Patient")] == ["patient"]
    assert hospital.held("Patient")[0]["identifier"] == INSIDE["patient"]["identifier"]


def _put(resource: dict[str, Any]) -> Any:
    return Call("PUT", f"{resource['resourceType']}/{resource['id']}", resource)


def test_what_the_hospital_changes_in_its_own_task_and_order_is_no_conflict(bridge: Bridge, hospital: Ward) -> None:
    task, rest = apart(hospital.base_url)
    with bridge.store.transaction() as tx:
        clients.add(tx, tenant="default", id="general", name="General", kind="hospital", now=tx.now)
        senders.put(tx, Sender("default", "general", "general"))
    client = bridge.hospitals["general"].client
    for one in (*rest.values(), task | {"focus": {"reference": "ServiceRequest/order"}}):
        client.send(_put(one))
    push(bridge, task)
    work(bridge)
    [id] = [one["id"] for one in inbox.listing(bridge, "default")]
    inbox.decide(bridge, CLINIC, id, "accept")
    work(bridge)
    before = inbox.listing(bridge, "default")[0]["version"]
    [held] = hospital.held("Task")
    client.send(_put({name: said for name, said in held.items() if name != "meta"} | {"note": [{"text": "Call the ward first."}]}))
    [order] = hospital.held("ServiceRequest")
    client.send(_put({name: said for name, said in order.items() if name != "meta"} | {"patientInstruction": "Bring the diary."}))
    pulled(bridge, hospital)
    assert inbox.listing(bridge, "default")[0]["version"] == before
    assert open_conflicts(bridge) == []
    inbox.decide(bridge, CLINIC, id, "schedule")
    work(bridge)
    [found] = hospital.held("Task")
    assert (found["status"], found["note"][0]["text"]) == ("in-progress", "Call the ward first.")
