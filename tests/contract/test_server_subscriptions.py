"""What the bridge relies on when it asks to be told of changes: a rest-hook Subscription without a payload."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Server
from fhir_api import SYSTEM, Api
from receivers import Receiver, receiving
from servers import Unavailable, hapi


@pytest.fixture(scope="module", params=["sandbox", "hapi"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """HAPI calls nobody unless it is told that it may: one of our own, because with hooks its DELETE names another version."""
    if request.param == "sandbox":
        yield Server(request.getfixturevalue("_sandbox"), "sandbox")
        return
    try:
        with hapi(options={"rest-hooks": "true"}) as base_url:
            yield Server(base_url, "hapi")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where the server is to call."""
    with receiving() as found:
        yield found


@pytest.fixture
def subscription(api: Api, receiver: Receiver) -> Iterator[str]:
    """The id of an active Subscription to a type that no other test writes."""
    endpoint = f"http://127.0.0.1:{receiver.port}/notifications/token"
    wanted = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "A test",
        "criteria": "Basic?",
        "channel": {"type": "rest-hook", "endpoint": endpoint},
    }
    created = api.post("Subscription", wanted)
    assert created.status_code == 201
    assert created.json()["status"] == "requested"
    id = created.headers["Location"].partition("/Subscription/")[2].partition("/")[0]
    active(api, id)
    yield id
    api.delete(f"Subscription/{id}")


def basic(key: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "identifier": [{"system": SYSTEM, "value": key}], "code": {"text": "A test"}}


def eventually(condition: Callable[[], bool]) -> bool:
    """A minute: HAPI looks for what is to be told every few seconds."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def active(api: Api, id: str) -> None:
    assert eventually(lambda: api.get(f"Subscription/{id}").json()["status"] == "active")


def test_it_becomes_active_as_a_later_version_and_each_change_is_a_bare_post(api: Api, receiver: Receiver, subscription: str, key: str):
    assert int(api.get(f"Subscription/{subscription}").json()["meta"]["versionId"]) == 2
    made = api.post("Basic", basic(key)).json()
    assert eventually(lambda: len(receiver.seen) == 1)
    api.put(f"Basic/{made['id']}", made | {"created": "2026-03-02"})
    assert eventually(lambda: len(receiver.seen) == 2)
    assert [(path, body) for _, path, body in receiver.seen] == [("/notifications/token", b"")] * 2


def test_a_deletion_is_not_told(api: Api, receiver: Receiver, subscription: str, key: str):
    made = api.post("Basic", basic(key)).json()
    assert eventually(lambda: len(receiver.seen) == 1)
    api.delete(f"Basic/{made['id']}")
    api.post("Basic", basic(f"{key}-after"))
    assert eventually(lambda: len(receiver.seen) == 2)


def test_one_that_failed_is_set_going_by_asking_again(api: Api, receiver: Receiver, subscription: str, key: str):
    now = api.get(f"Subscription/{subscription}").json()
    api.put(f"Subscription/{subscription}", now | {"status": "error"})
    assert api.put(f"Subscription/{subscription}", now | {"status": "requested"}).status_code == 200
    active(api, subscription)
    api.post("Basic", basic(key))
    assert eventually(lambda: len(receiver.seen) == 1)
