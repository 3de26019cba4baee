"""The four public guides' ways to refer, each sent over HTTP as their senders do, become one referral each and are answered in kind.

The instances in `fixtures/inbound` are our own, shaped after: NHS Booking and Referral Standard (https://simplifier.net/nhsbookingandreferrals),
HL7 BSeR STU1 (https://hl7.org/fhir/us/bser), Ontario eReferral (https://simplifier.net/ereferral-econsult), HL7 SDOH Clinical Care
(https://hl7.org/fhir/us/sdoh-clinicalcare). `record.json` beside each is what it says to the clinic.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from flask import Flask

from fhir_bridge import documents
from fhir_bridge.fhir import check
from fhir_bridge.sandbox.running import running
from fhir_bridge.store import clients, records, referrals
from fhir_bridge.sync.bridge import Bridge

INBOUND = Path(__file__).parents[2] / "fixtures/inbound"
#: where each guide's sender posts
DOORS = {"bars": "/$process-message", "bser": "/$process-message", "ontario": "/ServiceRequest/$referral-request", "sdoh": ""}
OURS = ("id", "version", "status", "received_at")


class Sender:
    """A hospital's program: `requests`, a key, and the address it was told."""

    def __init__(self, base: str, key: str) -> None:
        self.base, self.session = base, requests.Session()
        self.session.headers.update({"Authorization": f"Bearer {key}", "Accept": "application/fhir+json"})

    def send(self, guide: str, name: str = "referral", **headers: str) -> requests.Response:
        ids = {"X-Request-ID": str(uuid4()), "X-Correlation-ID": str(uuid4())} if guide == "bars" else {}
        body = (INBOUND / guide / f"{name}.json").read_bytes()
        said = {"Content-Type": "application/fhir+json", **ids, **headers}
        answer = self.session.post(self.base + DOORS[guide], data=body, headers={k: v for k, v in said.items() if v}, timeout=30)
        assert check.faults(documents.loads(answer.content)) == []
        return answer

    def get(self, address: str) -> Any:
        return self.session.get(address if address.startswith("http") else f"{self.base}/{address}", timeout=30).json()


@pytest.fixture
def sender(app: Flask, bridge: Bridge) -> Iterator[Sender]:
    with bridge.store.transaction() as tx:
        key = clients.add(tx, tenant="north", id="sender", name="Invented sender", kind="hospital", now=tx.now)
    with running(app) as place:
        found = Sender(place.base_url, key)
        yield found
        found.session.close()


def held(bridge: Bridge) -> list[dict[str, Any]]:
    """The newest version of every referral."""
    with bridge.store.reading() as tx:
        found = [records.current(tx, "north", "referral", one.id) for one in referrals.listing(tx, "north")]
        return [documents.loads(one.document) for one in found if one]


def said(record: dict[str, Any]) -> dict[str, Any]:
    """What the hospital said, without what is ours."""
    patient = {name: value for name, value in record["patient"].items() if name != "id"}
    return {"patient": patient, "referral": {name: value for name, value in record["referral"].items() if name not in OURS}}


@pytest.mark.parametrize("guide", DOORS)
def test_each_guides_referral_becomes_the_one_record(sender: Sender, bridge: Bridge, guide: str):
    assert sender.send(guide).status_code == 200
    [found] = held(bridge)
    assert said(found) == json.loads((INBOUND / guide / "record.json").read_text())
    assert found["referral"]["status"] == "received"


@pytest.mark.parametrize("guide", ["bars", "bser", "ontario"])
def test_a_message_is_answered_by_a_message_to_its_source_that_names_it(sender: Sender, guide: str):
    sent = json.loads((INBOUND / guide / "referral.json").read_text())["entry"][0]["resource"]
    answer = sender.send(guide).json()
    header = answer["entry"][0]["resource"]
    assert (answer["type"], header["response"]) == ("message", {"identifier": sent["id"], "code": "ok"})
    assert header["destination"] == [{"endpoint": sent["source"]["endpoint"]}]
    assert header["eventCoding"] == sent["eventCoding"]
    told = {entry["resource"]["resourceType"]: entry for entry in answer["entry"]}
    assert told["Task"]["resource"]["status"] == "received"
    assert sender.get(told["ServiceRequest"]["fullUrl"]) == told["ServiceRequest"]["resource"]


def test_a_bars_message_that_was_taken_is_a_duplicate_and_both_ids_come_back(sender: Sender, bridge: Bridge):
    ids = {"X-Request-ID": str(uuid4()), "X-Correlation-ID": str(uuid4())}
    answers = [sender.send("bars", **ids) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert [issue["code"] for issue in answers[1].json()["issue"]] == ["duplicate"]
    assert all({name: answer.headers[name] for name in ids} == ids for answer in answers)
    assert len(held(bridge)) == 1


@pytest.mark.parametrize("missing", ["X-Request-ID", "X-Correlation-ID"])
def test_a_bars_message_without_one_of_its_ids_is_refused_and_the_other_comes_back(sender: Sender, bridge: Bridge, missing: str):
    ids = {"X-Request-ID": "a-1", "X-Correlation-ID": "b-1", missing: ""}
    refused = sender.send("bars", **ids)
    assert refused.status_code == 400
    assert all(refused.headers[name] == value for name, value in ids.items() if value)
    assert held(bridge) == []


def test_a_bars_cancellation_names_the_order_by_its_id(sender: Sender, bridge: Bridge):
    sender.send("bars")
    cancelled = sender.send("bars", "cancel")
    assert cancelled.status_code == 200
    [found] = held(bridge)
    assert (found["referral"]["status"], found["referral"]["version"]) == ("cancelled", 2)


@pytest.mark.parametrize("guide", ["bser", "ontario", "sdoh"])
def test_whoever_does_not_speak_bars_gets_the_first_answer_again(sender: Sender, bridge: Bridge, guide: str):
    first, again = sender.send(guide), sender.send(guide, **{"X-Request-ID": "another"})
    assert (again.status_code, again.content, again.headers["X-Request-ID"]) == (200, first.content, "another")
    assert len(held(bridge)) == 1


def test_an_sdoh_sender_follows_its_task_where_the_answer_says(sender: Sender, app: Flask, bridge: Bridge):
    sent = json.loads((INBOUND / "sdoh" / "referral.json").read_text())
    answer = sender.send("sdoh").json()
    places = {
        entry["resource"]["resourceType"]: one["response"].get("location")
        for entry, one in zip(sent["entry"], answer["entry"], strict=True)
    }
    assert [kind for kind, place in places.items() if place] == ["ServiceRequest", "Task"]
    task = sender.get(str(places["Task"]))
    assert (task["status"], task["businessStatus"]["text"]) == ("received", "received")
    assert urlsplit(str(places["ServiceRequest"])).path.startswith(f"/fhir/{task['focus']['reference']}")
    assert sender.get("Task?status=received&_sort=-_lastUpdated")["total"] == 1


def test_every_senders_order_is_found_by_its_number(sender: Sender):
    for guide in DOORS:
        sender.send(guide)
        placer = json.loads((INBOUND / guide / "record.json").read_text())["referral"]["placer"]
        assert sender.get(f"ServiceRequest?identifier={placer['system']}|{placer['value']}")["total"] == 1, guide
    assert sender.get("ServiceRequest")["total"] == len(DOORS)
