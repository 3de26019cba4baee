"""The loop closed by messages: each state reaches the sender's endpoint once in effect, whatever the line does to the answers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from desk import Desk, desk
from hypothesis import given
from hypothesis import strategies as st
from test_matching import SENDER
from test_refer_session_loop import treated
from ward import CASES, CLINIC, START, Clock, Ward, work

from fhir_bridge import bootstrap, documents
from fhir_bridge.fhir import check
from fhir_bridge.hospital import messages
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.hospital.reply import Delivered
from fhir_bridge.settings import Hospital, Settings
from fhir_bridge.store import senders
from fhir_bridge.store.schedule_runs import Order
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync import refer, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox
from fhir_bridge.sync.referrals.shape import MESSAGE, Incoming
from fhir_bridge.sync.schedules import preview, run
from fhir_bridge.sync.schedules.run import Limits
from fhir_bridge.sync.schedules.works import WORKS

BODY = (CASES / "referred-biologic" / "inbound" / "message.json").read_bytes()
ASKED = documents.loads(BODY)["entry"][0]["resource"]


@pytest.fixture
def sender() -> Iterator[Desk]:
    with desk() as found:
        yield found


@pytest.fixture(params=["the hospital's rules", "the sender's own address"])
def speaking(request: pytest.FixtureRequest, bridge: Bridge, settings: Settings, hospital: Ward, sender: Desk) -> Bridge:
    """A bridge whose referrals are answered by messages, by either way of saying so."""
    if request.param == "the sender's own address":
        with bridge.store.transaction() as tx:
            senders.put(tx, Sender("default", SENDER.id, "general", sender.url, f"{sender.url}/$process-message"))
        return replace(bridge, outside=Outside(networks=["127.0.0.0/8"]))
    there = {"general": Hospital("general", sender.url, rules={"channel": "message"})}
    made = bootstrap.bridge(replace(settings, hospitals=there))
    made.store.close()
    return replace(made, store=bridge.store, clock=bridge.clock)


def received(bridge: Bridge) -> str:
    refer.take(bridge, SENDER, Incoming(MESSAGE, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    [found] = inbox.listing(bridge, "default")
    number: str = found["id"]
    return number


def state(bridge: Bridge, id: str) -> dict[str, Any]:
    [delivery] = (status.of_record(bridge, tenant="default", kind="referral", id=id) or {})["deliveries"]
    return dict(delivery)


def test_each_state_is_one_message_to_the_sender(speaking: Bridge, sender: Desk, session: dict[str, Any]) -> None:
    id = received(speaking)
    work(speaking)
    inbox.decide(speaking, CLINIC, id, "accept")
    work(speaking)
    for version, name in enumerate(("scheduled", "no-show"), 1):
        treated(speaking, session, id, name, version=version)
        work(speaking)
    inbox.decide(speaking, CLINIC, id, "cancel", reason="The patient moved away.")
    work(speaking)
    assert sender.told() == [
        ("received", "2.0", "1"),
        ("accepted", "3.0", "2"),
        ("in-progress", "5.1.1", "3"),
        ("in-progress", "5.1.2", "4"),
        ("cancelled", "6.0", "5"),
    ]


def test_a_message_says_what_it_answers_and_is_right_r4(speaking: Bridge, sender: Desk) -> None:
    id = received(speaking)
    work(speaking)
    [message] = sender.taken.values()
    header = message["entry"][0]["resource"]
    assert header["response"] == {"identifier": ASKED["id"], "code": "ok"}
    assert header["destination"] == [{"endpoint": ASKED["source"]["endpoint"]}]
    assert check.faults(message) == []
    kinds = [one["resource"]["resourceType"] for one in message["entry"]]
    assert sorted(kinds) == ["Condition", "MessageHeader", "Patient", "ServiceRequest", "Task"]
    urls = {one["fullUrl"] for one in message["entry"]}
    [task] = [one["resource"] for one in message["entry"] if one["resource"]["resourceType"] == "Task"]
    assert {task["focus"]["reference"], task["for"]["reference"], header["focus"][0]["reference"]} <= urls
    assert state(speaking, id)["state"] == "delivered"


def test_a_session_that_is_done_brings_its_summary_along(bridge: Bridge, sender: Desk, session: dict[str, Any]) -> None:
    with bridge.store.transaction() as tx:
        senders.put(tx, Sender("default", SENDER.id, "general", sender.url, f"{sender.url}/$process-message"))
    speaking = replace(bridge, outside=Outside(networks=["127.0.0.0/8"]))
    id = received(speaking)
    treated(speaking, session, id, "completed")
    work(speaking)
    message = list(sender.taken.values())[-1]
    assert sender.told()[-1][:2] == ("in-progress", "5.1.4")
    [document] = [one["resource"] for one in message["entry"] if one["resource"]["resourceType"] == "DocumentReference"]
    [task] = [one["resource"] for one in message["entry"] if one["resource"]["resourceType"] == "Task"]
    named = [one["valueReference"]["identifier"] for one in task["output"] if one["valueReference"]["type"] == "DocumentReference"]
    assert named == [{name: document["identifier"][0][name] for name in ("system", "value")}]
    assert check.faults(message) == []


@pytest.mark.parametrize("failure", ["lost", "page", 503, 429])
def test_a_message_whose_answer_was_lost_is_sent_again_and_taken_once(speaking: Bridge, sender: Desk, clock: Clock, failure: Any) -> None:
    id = received(speaking)
    sender.next = [failure]
    work(speaking)
    assert state(speaking, id)["state"] in ("ambiguous", "retry_wait")
    clock.pass_(hours=2)
    work(speaking)
    assert state(speaking, id)["state"] == "delivered"
    assert sender.told() == [("received", "2.0", "1")]
    assert len(sender.calls) == 2


def test_a_message_that_is_refused_stops_for_a_person_with_the_receivers_words(speaking: Bridge, sender: Desk) -> None:
    id = received(speaking)
    sender.next = ["fatal"]
    work(speaking)
    stopped = state(speaking, id)
    assert (stopped["state"], stopped["reason"]) == ("dead", "refused")
    assert "Not our patient." in str(stopped["card"])


def test_a_newer_state_takes_the_place_of_one_that_waits(speaking: Bridge, sender: Desk, clock: Clock) -> None:
    id = received(speaking)
    sender.next = [503]
    work(speaking)
    inbox.decide(speaking, CLINIC, id, "accept")
    clock.pass_(hours=2)
    work(speaking)
    assert sender.told() == [("accepted", "3.0", "2")]


def test_an_address_in_a_private_network_is_not_called(bridge: Bridge, sender: Desk) -> None:
    with bridge.store.transaction() as tx:
        senders.put(tx, Sender("default", SENDER.id, "general", sender.url, f"{sender.url}/$process-message"))
    id = received(bridge)  # its way out knows no network of ours
    work(bridge)
    assert sender.calls == []
    assert state(bridge, id)["state"] == "retry_wait"


def test_a_run_that_pushes_to_the_hospital_sends_its_senders_messages_too(speaking: Bridge, sender: Desk) -> None:
    received(speaking)
    order = Order("default", "push", ("general",), "ann")
    [part] = preview.preview(speaking, order)
    assert [one["words"] for one in part["deliveries"]] == [[f"one message to {sender.url}/$process-message"]]
    assert sender.taken == {}
    done = run.carry_out(speaking, run.begin(speaking, order), WORKS, limits=Limits())
    assert run.totals(done)["delivered"] == 1
    assert sender.told() == [("received", "2.0", "1")]


@given(version=st.integers(1, 9), other=st.integers(1, 9))
def test_the_same_version_is_the_same_message_and_another_is_another(version: int, other: int) -> None:
    task = {"resourceType": "Task", "id": "3f6f3b0c-5d0e-4e07-9a55-0b8f0c1d2e3f"}

    def made(number: int) -> dict[str, Any]:
        address = "https://h.example/fhir/$process-message"
        return messages.bundle(f"https://c.example/id/referral/R-1/{number}", [task], asked={}, source=address, to=address, at=START)

    assert (made(version) == made(other)) == (version == other)
    ids = [{one["id"], one["entry"][0]["resource"]["id"], one["entry"][0]["fullUrl"]} for one in (made(version), made(other))]
    assert (ids[0] & ids[1] != set()) == (version == other)


ANSWERS = st.one_of(
    st.none(),
    st.builds(NoReply, sent=st.booleans(), cause=st.just("the line broke")),
    st.builds(
        Reply,
        status=st.integers(100, 599),
        body=st.recursive(
            st.none() | st.booleans() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["resourceType", "entry", "resource", "response", "issue", "identifier", "code"]), inner)
            ),
        ),
    ),
)


@given(ANSWERS)
def test_no_answer_counts_as_taken_that_does_not_say_so(answer: Any) -> None:
    message = messages.bundle("https://c.example/id/referral/R-1/1", [], asked={}, source="https://c", to="https://h", at=START)
    if answer is not None:
        outcome = messages.understood(message, answer)
        assert not isinstance(outcome, Delivered) or getattr(answer, "resource_type", "") == "OperationOutcome"
