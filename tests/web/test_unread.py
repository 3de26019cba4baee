"""A transaction like one that was read is stored as it came and answered; what is in it is read before anybody looks at referrals."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_bridge import bootstrap, documents, faults
from fhir_bridge.fhir import check
from fhir_bridge.settings import Settings
from fhir_bridge.store import audit, outbox, records, referrals, unread
from fhir_bridge.store.clients import Client
from fhir_bridge.store.unread import Unread
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import fetch, orphans
from fhir_bridge.sync.referrals.shape import TRANSACTION, Incoming
from fhir_bridge.sync.worker import Worker

SignIn = Callable[..., FlaskClient]
TEXT = (Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound/transaction.json").read_text()


def order(number: int, **instead: str) -> bytes:
    """A new order for a new patient, like every other; `instead` of a text another one."""
    text = re.sub(r"(ORD-SYN-|SYN-100)\d*|(Synthetic-Rowan)", rf"\g<1>\g<2>{number}", TEXT)
    for before, after in instead.items():
        assert before in text
        text = text.replace(before, after)
    return text.encode()


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    """One that sent an order like the others before."""
    client = clinic(kind="hospital")
    assert push(client, order(1)).status_code == 200
    return client


def push(client: FlaskClient, body: bytes, **headers: str) -> Any:
    return client.post("/fhir", data=body, content_type="application/fhir+json", headers=headers)


def waiting(bridge: Bridge) -> list[Unread]:
    with bridge.store.reading() as tx:
        return unread.waiting(tx, "north", 100)


def place(answer: Any, kind: str = "ServiceRequest") -> str:
    [found] = [told for one in answer.json["entry"] if (told := one["response"].get("location", "")) and f"/{kind}/" in told]
    return str(found).removeprefix("http://localhost").removesuffix("/_history/1")


def test_the_answer_is_the_same_as_if_it_had_been_read(hospital: FlaskClient, bridge: Bridge) -> None:
    answer = push(hospital, order(2))
    assert len(waiting(bridge)) == 1
    whole = push(hospital, order(1))
    assert (answer.status_code, check.faults(answer.json)) == (200, [])
    told, known = ([one["response"].keys() for one in each.json["entry"]] for each in (answer, whole))
    assert told == known
    shown = hospital.get(place(answer))
    assert (shown.status_code, shown.headers["ETag"]) == (200, 'W/"1"')
    assert waiting(bridge) == []


def test_nothing_of_it_but_what_came_is_stored_until_somebody_looks(hospital: FlaskClient, bridge: Bridge) -> None:
    push(hospital, order(2))
    [one] = waiting(bridge)
    with bridge.store.reading() as tx:
        assert records.current(tx, "north", "referral", one.referral) is None
        assert referrals.message(tx, "north", one.message).body == order(2)
    with bridge.store.reading() as tx:
        assert [said.action for said in audit.of_subject(tx, "north", f"referral/{one.referral}")] == []


@pytest.mark.parametrize("look", ["/api/v1/referrals", "/api/v1/referrals/{id}"])
def test_the_clinic_sees_it_when_it_looks_and_it_goes_its_way(hospital: FlaskClient, bridge: Bridge, clinic: SignIn, look: str) -> None:
    push(hospital, order(2))
    [one] = waiting(bridge)
    shown = clinic().get(look.format(id=one.referral))
    assert shown.status_code == 200 and one.referral in shown.get_data(as_text=True)
    with bridge.store.reading() as tx:
        stored = records.current(tx, "north", "referral", one.referral)
        assert stored is not None
        record = documents.loads(stored.document)
        assert record["referral"]["received_at"] == one.received_at.isoformat(timespec="milliseconds")
        assert [each.state for each in outbox.of_record(tx, "north", "referral", one.referral)] == ["pending"]
        assert [said.action for said in audit.of_subject(tx, "north", f"referral/{one.referral}")] == ["receive"]


def test_a_worker_reads_it_without_being_asked(hospital: FlaskClient, bridge: Bridge) -> None:
    push(hospital, order(2))
    assert len(waiting(bridge)) == 1
    Worker(bridge).drain()
    assert waiting(bridge) == []


def test_beside_the_deliveries_it_is_read_within_a_moment(hospital: FlaskClient, bridge: Bridge) -> None:
    push(hospital, order(2))
    assert len(waiting(bridge)) == 1
    stop = Event()
    reading = Thread(target=fetch.keep_fetching, args=(bridge, stop))
    reading.start()
    end = time.monotonic() + 30
    while waiting(bridge) and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    reading.join(30)
    assert waiting(bridge) == [] and not reading.is_alive()


def test_a_session_that_names_it_finds_it_read(hospital: FlaskClient, bridge: Bridge, clinic: SignIn, session: dict[str, Any]) -> None:
    push(hospital, order(2))
    [one] = waiting(bridge)
    posted = clinic().post("/api/v1/sessions", json=session | {"referral": {"id": one.referral}})
    assert posted.status_code == 202, posted.json
    assert waiting(bridge) == []
    with bridge.store.reading() as tx:  # it is another patient's: had the session not found it, nobody would be asked
        assert [said.action for said in audit.of_subject(tx, "north", f"referral/{one.referral}")] == ["receive", "ask-whose-patient"]


def test_the_same_again_is_told_the_same_and_stays_one(hospital: FlaskClient, bridge: Bridge) -> None:
    first, again = (push(hospital, order(2), **{"X-Request-ID": "one"}) for _ in range(2))
    assert first.json == again.json
    other = push(hospital, order(2))
    assert place(other) == place(first)
    assert hospital.get(place(first)).headers["ETag"] == 'W/"1"'


def test_a_change_and_a_cancellation_find_it_though_nobody_read_it(hospital: FlaskClient, bridge: Bridge) -> None:
    first = push(hospital, order(2))
    push(hospital, order(2, **{'"priority": "urgent"': '"priority": "asap"'}))
    assert hospital.get(place(first)).json["priority"] == "asap"
    third = push(hospital, order(3))
    push(hospital, order(3, **{'"status": "active",\n        "intent"': '"status": "revoked",\n        "intent"'}))
    assert hospital.get(place(third)).json["status"] == "revoked"


def test_what_has_another_likeness_is_read_first_and_refused_at_once(hospital: FlaskClient, bridge: Bridge) -> None:
    refused = push(hospital, order(2, **{'"birthDate":': '"deceasedBoolean": false, "_birthDate":'}))
    assert refused.status_code in (400, 422)
    assert waiting(bridge) == []


class TestWhatCannotBeRead:
    """Its elements are as always; a value is none that the clinic's record may hold."""

    @pytest.fixture
    def answer(self, hospital: FlaskClient) -> Any:
        return push(hospital, order(2, **{"1988-": "1788-"}))

    def test_is_answered_and_the_sender_reads_why_where_its_order_would_be(self, hospital: FlaskClient, answer: Any) -> None:
        assert answer.status_code == 200
        told = hospital.get(place(answer))
        assert (told.status_code, told.json["resourceType"], check.faults(told.json)) == (404, "OperationOutcome", [])
        assert "birth_date" in told.get_data(as_text=True) and "1788" not in told.get_data(as_text=True)

    def test_is_nobody_elses_to_read(self, answer: Any, clinic: SignIn) -> None:
        told = clinic("south", kind="hospital").get(place(answer))
        assert told.status_code == 404 and "birth_date" not in told.get_data(as_text=True)

    def test_the_clinic_learns_of_it(self, hospital: FlaskClient, answer: Any, clinic: SignIn) -> None:
        hospital.get(place(answer))
        assert "message.unreadable" in [one["what"] for one in clinic().get("/api/v1/changes").json["changes"]]
        assert clinic("south").get("/api/v1/changes").json["changes"] == []

    def test_is_an_orphan_with_what_to_do(self, answer: Any, bridge: Bridge) -> None:
        [one] = [each for each in orphans.of_site(bridge, "north") if each["stuck"] == "unreadable"]
        assert one["who"] == "hospital" and "send the order again, mended" in one["do"]

    def test_mended_and_sent_again_it_is_read(self, hospital: FlaskClient, answer: Any, bridge: Bridge) -> None:
        hospital.get(place(answer))
        mended = push(hospital, order(2))
        assert mended.status_code == 200
        assert hospital.get(place(mended)).json["status"] == "active"
        with bridge.store.reading() as tx:
            assert unread.refused(tx, "north") == []

    def test_keeps_no_other_from_being_read(self, hospital: FlaskClient, answer: Any, bridge: Bridge) -> None:
        good = push(hospital, order(3))
        assert hospital.get(place(good)).status_code == 200
        assert waiting(bridge) == []


@pytest.mark.parametrize(("point", "kept"), [("I3", 0), ("I4", 1)])
def test_a_killed_process_leaves_what_it_answered(hospital: FlaskClient, bridge: Bridge, settings: Settings, point: str, kept: int) -> None:
    if (child := os.fork()) == 0:
        os.environ["FHIR_BRIDGE_FAULT"] = f"{point}:kill:1"
        faults.arm()
        fresh = bootstrap.bridge(settings)
        fresh.sites["north"].familiar.update(bridge.sites["north"].familiar)
        sender = Client("north", "north-hospital", "north hospital", "hospital", bridge.clock())
        refer.take(fresh, sender, Incoming(TRANSACTION, order(2), documents.loads(order(2)), "http://localhost/fhir"))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(waiting(bridge)) == kept
    assert push(hospital, order(2)).status_code == 200
    assert hospital.get(place(push(hospital, order(2)))).headers["ETag"] == 'W/"1"'
