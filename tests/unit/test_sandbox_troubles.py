"""The troubles of a network one after the other, each met by our client over TLS, and the clock that waits for the hospital."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from fhir_bridge.hospital.client import Call, Client, Deadlines, NoReply, Reply
from fhir_bridge.sandbox.certificates import AUTHORITIES, made_in
from fhir_bridge.sandbox.fast_clock import FastClock
from fhir_bridge.sandbox.faults import Failure, Faults
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.relay import KINDS, Relay, relaying
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.troubles import Troubles

PATIENCE = 0.5
READ = Call("GET", "metadata")


@pytest.fixture
def faults() -> Faults:
    return Faults(create_app(load("hapi")))


@pytest.fixture
def relay(faults: Faults, tmp_path: Path) -> Iterator[Relay]:
    with running(faults) as server, relaying(server.port, tls=made_in(tmp_path)) as relay:
        yield relay


@pytest.fixture
def client(relay: Relay, tmp_path: Path) -> Client:
    return Client(relay.base_url, deadlines=Deadlines(PATIENCE, PATIENCE, 2 * PATIENCE), verify=str(tmp_path / AUTHORITIES))


def test_each_trouble_is_met_and_over_at_the_end(relay: Relay, client: Client) -> None:
    troubles = Troubles(relay, 2 * PATIENCE)
    found: list[Reply | NoReply] = []
    with troubles.playing(list(KINDS), pause=0):
        end = time.monotonic() + 60
        while troubles.met.keys() != KINDS.keys() and time.monotonic() < end:
            found.append(client.send(READ))
    assert troubles.met.keys() == KINDS.keys()
    causes = " ".join(each.cause for each in found if isinstance(each, NoReply))
    for words in ("not known to the name service", "check the certificate", "did not accept the connection", "within the deadline"):
        assert words in causes
    assert isinstance(client.send(READ), Reply)


def test_nobody_who_stops_waits_for_a_trouble_that_nobody_meets(relay: Relay) -> None:
    begun = time.monotonic()
    with Troubles(relay, 60).playing(["swallowed"], pause=0):
        pass
    assert time.monotonic() - begun < 5
    assert relay.trouble == ""


def test_an_answer_passes_the_relay_as_it_comes(faults: Faults, relay: Relay, client: Client) -> None:
    faults.add(Failure(kind="truncated"))
    half = client.send(READ)
    assert isinstance(half, NoReply)
    assert half.cause == "the connection broke before the reply was whole"


def test_the_clock_goes_fast_unless_the_hospital_is_at_work() -> None:
    busy, clock = Event(), FastClock(speed=100_000)
    busy.set()
    with clock.running(unless=busy.is_set):
        before = clock()
        time.sleep(0.1)
        assert (clock() - before).total_seconds() < 60
        busy.clear()
        time.sleep(0.3)
        assert (clock() - before).total_seconds() > 1000
