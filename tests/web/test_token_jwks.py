"""A hospital's public keys at its address: read when needed, kept as long as it says, and never hammered, whatever is there."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey
from signing import TOKEN, claims, form, pair, public, register, signed
from store_rows import Clock
from structlog.testing import CapturingLogger

from fhir_bridge import documents
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.sandbox.running import running
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import jwks
from fhir_bridge.web import create_app

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Publisher:
    """Where a hospital publishes its keys; how it answers is for the test to say."""

    keys: list[ECKey] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    status: str = "200 OK"
    body: bytes | None = None
    wait: float = 0
    asked: int = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked += 1
        time.sleep(self.wait)
        body = documents.dumps(public(*self.keys)) if self.body is None else self.body
        start(self.status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *self.headers.items()])
        return [body]


@dataclass
class Desk:
    """A bridge that knows a hospital by its keys' address, at a time of our own."""

    bridge: Bridge
    clock: Clock
    publisher: Publisher

    def ask(self, key: ECKey) -> int:
        """The status of a token request signed by `key`."""
        door = create_app(self.bridge, log=CapturingLogger()).test_client()
        told = claims(now=self.clock().timestamp())
        return int(door.post(TOKEN, data=form(signed(key, told))).status_code)

    def later(self, by: timedelta) -> None:
        self.clock.now += by


@pytest.fixture
def desk(bridge: Bridge, settings: Any) -> Iterator[Desk]:
    clock, publisher = Clock(), Publisher([pair("a")])
    store = Store(settings.database_url.reveal(), clock=clock)
    here = replace(bridge, store=store, clock=clock, outside=Outside(networks=["127.0.0.1/32"]))
    with running(publisher) as served:
        register(here, f"http://127.0.0.1:{served.port}/jwks")
        yield Desk(here, clock, publisher)
    store.close()


def test_keys_are_read_once_and_kept(desk: Desk) -> None:
    [key] = desk.publisher.keys
    assert [desk.ask(key) for _ in range(3)] == [200, 200, 200]
    assert desk.publisher.asked == 1


def test_what_is_kept_is_read_again_when_it_is_stale(desk: Desk) -> None:
    desk.publisher.headers = {"Cache-Control": "public, max-age=3600"}
    [key] = desk.publisher.keys
    for shift, asked in ((timedelta(0), 1), (59 * MINUTE, 1), (2 * MINUTE, 2)):
        desk.later(shift)
        assert (desk.ask(key), desk.publisher.asked) == (200, asked)


def test_a_rotation_is_seen_with_the_first_assertion_of_the_new_key(desk: Desk) -> None:
    old, new = desk.publisher.keys[0], pair("b")
    assert desk.ask(old) == 200
    desk.later(2 * MINUTE)
    desk.publisher.keys = [old, new]
    assert [desk.ask(new), desk.ask(old)] == [200, 200]
    assert desk.publisher.asked == 2


def test_a_key_that_was_taken_away_opens_nothing_once_the_copy_is_stale(desk: Desk) -> None:
    old, new = desk.publisher.keys[0], pair("b")
    assert desk.ask(old) == 200
    desk.publisher.keys = [new]
    desk.later(jwks.SHORTEST + MINUTE)
    assert [desk.ask(old), desk.ask(new)] == [401, 200]


def test_unknown_keys_make_us_ask_at_most_once_a_minute(desk: Desk) -> None:
    strangers = [pair(f"x{number}") for number in range(5)]
    assert {desk.ask(stranger) for stranger in strangers} == {401}
    assert desk.publisher.asked == 1
    desk.later(MINUTE)
    assert {desk.ask(stranger) for stranger in strangers} == {401}
    assert desk.publisher.asked == 2


def test_an_outage_of_the_address_lets_the_kept_keys_go_on_for_a_day_and_no_longer(desk: Desk) -> None:
    [key] = desk.publisher.keys
    assert desk.ask(key) == 200
    desk.publisher.status = "503 Service Unavailable"
    desk.later(23 * HOUR)
    assert desk.ask(key) == 200
    desk.later(2 * HOUR)
    assert desk.ask(key) == 401
    desk.publisher.status = "200 OK"
    desk.later(MINUTE)
    assert desk.ask(key) == 200


WRONG: dict[str, dict[str, Any]] = {
    "a redirect": {"status": "302 Found", "headers": {"Location": "/elsewhere"}},
    "no JSON": {"body": b"<html>"},
    "no keys": {"body": b'{"keys": []}'},
    "a list": {"body": b"[]"},
    "keys that are none": {"body": b'{"keys": ["a"]}'},
    "a private key": {"body": documents.dumps({"keys": [pair("a").as_dict(private=True)]})},
    "more than a megabyte": {"body": b'{"keys": [' + b" " * 1_100_000 + b"]}"},
    "an error": {"status": "500 Internal Server Error"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_set_of_public_keys_lets_nobody_in(desk: Desk, name: str) -> None:
    for what, value in WRONG[name].items():
        setattr(desk.publisher, what, value)
    assert desk.ask(desk.publisher.keys[0]) == 401
    assert desk.publisher.asked == 1


def test_an_address_that_does_not_answer_in_time_lets_nobody_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "SECONDS", 0.2)
    desk.publisher.wait = 1.5
    assert (desk.ask(desk.publisher.keys[0]), desk.publisher.asked) == (401, 1)


def test_jku_that_is_the_registered_address_is_taken_and_any_other_is_not(desk: Desk) -> None:
    with desk.bridge.store.reading() as tx:
        found = jwks.sign_in.registered(tx, "general")
    assert found is not None
    door, [key] = create_app(desk.bridge, log=CapturingLogger()).test_client(), desk.publisher.keys
    for jku, status in ((found[1].url, 200), (f"{found[1].url}/", 401), ("https://evil.example/jwks", 401)):
        assertion = signed(key, claims(now=desk.clock().timestamp()), jku=jku)
        assert door.post(TOKEN, data=form(assertion)).status_code == status


@pytest.mark.parametrize(
    ("said", "lasts"),
    [
        ("", jwks.SHORTEST),
        ("no-store", jwks.SHORTEST),
        ("max-age=1", jwks.SHORTEST),
        ("public, max-age=3600", HOUR),
        ("Max-Age=7200, must-revalidate", 2 * HOUR),
        ("max-age=999999999", jwks.LONGEST),
        ("max-age=-5", jwks.SHORTEST),
        ("s-maxage=7200", jwks.SHORTEST),
    ],
)
def test_an_answer_lasts_as_long_as_it_says_within_bounds(said: str, lasts: timedelta) -> None:
    assert jwks.lasting(said) == lasts
