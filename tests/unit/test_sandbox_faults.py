"""Each kind of trouble reaches the client as ordered, and what the server stored meanwhile is what its name says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fhir_bridge.errors import Refused
from fhir_bridge.sandbox.faults import Failure, Faults, read, read_file
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app

PATIENT = {"resourceType": "Patient", "identifier": [{"system": "https://clinic.example/patient", "value": "P-1"}]}


class Hospital:
    """A sandbox with a fault layer, and how much time the layer let pass."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.faults = Faults(create_app(load("hapi")), sleep=self.waited.append)
        self.base_url = ""

    def post(self, **options: Any) -> requests.Response:
        headers = {"Content-Type": "application/fhir+json"}
        return requests.post(f"{self.base_url}/Patient", json=PATIENT, headers=headers, timeout=10, **options)

    def stored(self) -> int:
        return len(requests.get(f"{self.base_url}/Patient?identifier=P-1", timeout=10).json().get("entry", []))


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    found = Hospital()
    with running(found.faults) as server:
        found.base_url = server.base_url
        yield found


@pytest.mark.parametrize(("kind", "stored"), [("drop-before", 0), ("drop-after", 1)])
def test_a_dropped_connection_gives_no_answer_whatever_was_stored(hospital: Hospital, kind: str, stored: int):
    hospital.faults.add(Failure(kind=kind, method="POST"))
    with pytest.raises(requests.ConnectionError):
        hospital.post()
    assert hospital.stored() == stored


@pytest.mark.parametrize(
    ("kind", "status", "stored"),
    [
        ("error-before", 500, 0),
        ("error-after", 500, 1),
        ("unavailable", 503, 0),
        ("throttled", 429, 0),
        ("unauthorized", 401, 0),
        ("forbidden", 403, 0),
        ("conflict", 409, 0),
        ("precondition-failed", 412, 0),
    ],
)
def test_a_refusal_is_an_outcome_with_its_status(hospital: Hospital, kind: str, status: int, stored: int):
    hospital.faults.add(Failure(kind=kind, method="POST", retry_after="7"))
    reply = hospital.post()
    assert (reply.status_code, reply.headers["Retry-After"]) == (status, "7")
    assert reply.json()["resourceType"] == "OperationOutcome"
    assert hospital.stored() == stored


@pytest.mark.parametrize("kind", ["stall-before", "stall-after"])
def test_a_stall_lets_time_pass_and_then_answers(hospital: Hospital, kind: str):
    hospital.faults.add(Failure(kind=kind, method="POST", seconds=90))
    assert hospital.post().status_code == 201
    assert hospital.waited == [90]


def test_a_request_performed_twice_is_stored_twice(hospital: Hospital):
    hospital.faults.add(Failure(kind="twice", method="POST"))
    assert hospital.post().status_code == 201
    assert hospital.stored() == 2


def test_a_truncated_body_is_noticed(hospital: Hospital):
    hospital.faults.add(Failure(kind="truncated", method="POST"))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        hospital.post()
    assert hospital.stored() == 1


def test_a_dripping_body_is_whole_in_the_end(hospital: Hospital):
    hospital.faults.add(Failure(kind="drip", method="POST", seconds=1))
    assert hospital.post().json()["resourceType"] == "Patient"
    assert len(hospital.waited) > 5


def test_a_captive_portal_answers_200_with_a_page(hospital: Hospital):
    hospital.faults.add(Failure(kind="html", method="POST"))
    reply = hospital.post()
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert hospital.stored() == 0


def test_garbage_is_not_json(hospital: Hospital):
    hospital.faults.add(Failure(kind="garbage", method="POST"))
    with pytest.raises(requests.JSONDecodeError):
        hospital.post().json()


@pytest.mark.parametrize(("kind", "sent"), [("oversize", 3_000_000), ("gzip-bomb", 3_000)])
def test_a_huge_answer_is_huge(hospital: Hospital, kind: str, sent: int):
    hospital.faults.add(Failure(kind=kind, method="POST", megabytes=3))
    reply = hospital.post(stream=True)
    assert len(reply.raw.read(decode_content=False)) == pytest.approx(sent, rel=0.1)
    assert kind == "oversize" or reply.headers["Content-Encoding"] == "gzip"


def test_a_redirect_leads_elsewhere(hospital: Hospital):
    hospital.faults.add(Failure(kind="redirect", method="POST", status=302))
    reply = hospital.post(allow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, "https://elsewhere.example/fhir")


def test_a_failure_lets_some_pass_and_then_spoils_so_many(hospital: Hospital):
    hospital.faults.add(Failure(kind="unavailable", method="POST", path="/Patient$", skip=1, times=2))
    assert [hospital.post().status_code for _ in range(4)] == [201, 503, 503, 201]
    assert hospital.faults.spoilt == {"unavailable": 2}


def test_trouble_without_end_ends_when_it_is_cleared(hospital: Hospital):
    hospital.faults.add(Failure(kind="unavailable", times=0))
    assert [hospital.post().status_code for _ in range(3)] == [503, 503, 503]
    hospital.faults.clear()
    assert hospital.post().status_code == 201


def test_trouble_is_ordered_over_http(hospital: Hospital):
    address = hospital.base_url.removesuffix("/fhir") + "/_faults"
    ordered = requests.post(address, json=[{"kind": "throttled", "retry_after": "3"}], timeout=10).json()
    assert ordered["script"][0]["kind"] == "throttled"
    assert hospital.post().status_code == 429
    assert requests.get(address, timeout=10).json()["spoilt"] == {"throttled": 1}
    assert requests.delete(address, timeout=10).json()["script"] == []
    assert requests.post(address, json=[{"kind": "flood"}], timeout=10).status_code == 400


def test_a_script_is_read_from_a_file_and_refused_when_it_is_none(tmp_path: Path):
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"kind": "html", "times": 2}]))
    assert read_file(file) == [Failure(kind="html", times=2)]
    for text in (b'[{"kind": "flood"}]', b'[{"kind": "html", "colour": "red"}]', b"[7]", b'{"kind": "html"}'):
        with pytest.raises(Refused):
            read(text)
