"""Each kind of trouble below HTTP begins at the request it is ordered for, reaches our client as its name says, and ends."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.client import Call, Client, Deadlines, NoReply, Reply
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.relay import Relay, relaying
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store

POST = Call("POST", "Patient", {"resourceType": "Patient", "birthDate": "1990-01-01"})


@dataclass
class Behind:
    """A hospital behind a relay, and our client before it."""

    relay: Relay
    chart: Store
    client: Client

    def post(self) -> Reply | NoReply:
        return self.client.send(POST)

    def held(self) -> int:
        return len(self.chart.log)


@pytest.fixture
def behind() -> Iterator[Behind]:
    chart = Store()
    with running(create_app(load("hapi"), store=chart)) as server, relaying(server.port) as relay:
        yield Behind(relay, chart, Client(relay.base_url, deadlines=Deadlines(connect=0.5, read=0.5, total=0.8)))


# what reaches the hospital, and whether the client may think that it did
@pytest.mark.parametrize(
    ("kind", "held", "sent"),
    [
        ("refused", 0, False),
        ("connect-hang", 0, False),
        ("reset-mid", 0, True),
        ("swallowed", 0, True),
        ("reset-after", 1, True),
        ("trickle", 1, True),
    ],
)
def test_trouble_begins_at_its_request_and_ends_when_healed(behind: Behind, kind: str, held: int, sent: bool) -> None:
    behind.relay.fail(kind, at=2)
    assert isinstance(behind.post(), Reply)
    found = behind.post()
    assert isinstance(found, NoReply)
    assert (behind.held() - 1, found.sent) == (held, sent)
    behind.relay.heal()
    assert isinstance(behind.post(), Reply)
    assert [method for method, _ in behind.relay.seen] == ["POST"] * (2 + held)


def test_a_reset_before_anything_was_read_is_no_answer(behind: Behind) -> None:
    behind.relay.fail("reset-before")
    assert isinstance(behind.post(), NoReply)
    assert behind.held() == 0


def test_a_connection_that_nobody_is_at_any_more_gives_an_answer_once(behind: Behind) -> None:
    behind.relay.fail("slow-close")
    assert isinstance(behind.post(), Reply)
    assert isinstance(behind.post(), NoReply)
    assert behind.held() == 1


def test_a_kind_that_is_not_known_is_refused(behind: Behind) -> None:
    with pytest.raises(Refused, match="swallowed"):
        behind.relay.fail("gremlins")
