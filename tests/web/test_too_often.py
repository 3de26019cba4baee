"""Who is refused too often from one address is told to wait; who may come in never is."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from signing import TOKEN, claims, form, pair, public, register, signed
from store_rows import Clock
from structlog.testing import CapturingLogger

from fhir_bridge.store import clients
from fhir_bridge.store.database import Store
from fhir_bridge.store.sign_in_tables import refusals
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app

LIMIT = 3
KEY = pair()


@dataclass
class Doors:
    """A bridge that bears three refusals a minute, at a time of our own, on both databases."""

    door: FlaskClient
    clock: Clock
    store: Store
    key: str

    def ask(self, key: str = "wrong", address: str = "192.0.2.1", at: str = "/api/v1/referrals") -> Any:
        return self.door.get(at, headers={"X-API-Key": key}, environ_base={"REMOTE_ADDR": address})

    def sign_in(self, key: Any, address: str = "192.0.2.1") -> Any:
        told = claims(now=self.clock().timestamp())
        return self.door.post(TOKEN, data=form(signed(key, told)), environ_base={"REMOTE_ADDR": address})


@pytest.fixture
def doors(bridge: Bridge, database_url: str) -> Iterator[Doors]:
    clock = Clock()
    store = Store(database_url, allow_unsafe=True, clock=clock)
    here = replace(bridge, store=store, clock=clock, refusals_per_minute=LIMIT)
    register(here, public(KEY))
    with store.transaction() as tx:
        key = clients.add(tx, tenant="north", id="c1", name="c1", kind="clinic", now=tx.now)
    yield Doors(create_app(here, log=CapturingLogger()).test_client(), clock, store, key)
    store.close()


def test_after_so_many_refusals_in_a_minute_one_is_told_to_wait(doors: Doors) -> None:
    assert [doors.ask().status_code for _ in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2
    doors.clock.now += timedelta(seconds=20)
    told = doors.ask()
    assert (told.status_code, told.headers["Retry-After"], told.content_type) == (429, "40", "application/problem+json")
    doors.clock.now += timedelta(seconds=40)
    assert doors.ask().status_code == 401


def test_all_doors_count_together_and_each_answers_in_its_own_words(doors: Doors) -> None:
    assert [doors.ask(at="/fhir/Task").status_code, doors.sign_in(pair()).status_code, doors.ask().status_code] == [401] * 3
    assert doors.ask(at="/fhir/Task").json["issue"][0]["code"] == "throttled"
    refused = doors.sign_in(pair())
    assert (refused.status_code, refused.json["error"], refused.headers["Retry-After"]) == (429, "invalid_client", "60")


def test_who_may_come_in_is_never_held_up_whoever_else_calls_from_there(doors: Doors) -> None:
    for _ in range(LIMIT + 1):
        doors.ask()
    assert doors.ask(doors.key).status_code == 200
    assert doors.sign_in(KEY).status_code == 200


def test_each_address_counts_for_itself_and_ipv6_by_its_network(doors: Doors) -> None:
    for _ in range(LIMIT):
        doors.ask(address="2001:db8:1:2::1")
    told = {"2001:db8:1:2:ffff::9": 429, "2001:db8:1:3::1": 401, "192.0.2.1": 401, "": 401}
    assert {address: doors.ask(address=address).status_code for address in told} == told


def test_who_waits_writes_nothing_and_what_is_over_is_forgotten(doors: Doors) -> None:
    for number in range(5):
        doors.ask(address=f"192.0.2.{number}")
    for _ in range(10):
        doors.ask(address="192.0.2.0")
    with doors.store.reading() as tx:
        assert max(row.times for row in tx.rows(refusals.select())) == LIMIT
    doors.clock.now += timedelta(minutes=2)
    doors.ask(address="198.51.100.1")
    with doors.store.reading() as tx:
        assert [row.address for row in tx.rows(refusals.select())] == ["198.51.100.1"]
