"""The same referral pushed by several connections at once, on both databases: one referral, one delivery, everybody answered."""

import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import func, select

from fhir_bridge import bootstrap, documents
from fhir_bridge.clock import utc_now
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import clients, records, referrals
from fhir_bridge.store import unread as unread_rows
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.store.tables import deliveries
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import unread
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import ORDER, TRANSACTION, Incoming
from fhir_bridge.sync.referrals.taking import Settled

CAME = Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound"
INBOUND = CAME / "service-request.json"
SENDER = Client("north", "general", "Invented General Hospital", "hospital", utc_now())
AT_ONCE = 6


@pytest.fixture
def bridge(store: Store, sqlite_url: str) -> Iterator[Bridge]:
    settings = Settings(
        database_url=Secret(sqlite_url),
        hospitals=MappingProxyType({"general": Hospital("general", "http://127.0.0.1:9/fhir")}),
        sites=MappingProxyType({"north": Site("north", hospitals=("general",))}),
    )
    bootstrap.prepare(settings)
    found = bootstrap.bridge(settings)
    found.store.close()
    yield replace(found, store=store)


def pushed(bridge: Bridge, *, request_id: str, **changed: object) -> tuple[int, str]:
    body = json.dumps(json.loads(INBOUND.read_text()) | changed).encode()
    answer = refer.take(bridge, SENDER, Incoming(ORDER, body, documents.loads(body), "https://clinic.example/fhir", request_id))
    return int(answer.status), answer.headers["ETag"]


def pushed_as_transaction(bridge: Bridge, number: int) -> int:
    text = (CAME / "transaction.json").read_text()
    body = re.sub(r"(ORD-SYN-|SYN-100)\d*|(Synthetic-Rowan)", rf"\g<1>\g<2>{number}", text).encode()
    return int(refer.take(bridge, SENDER, Incoming(TRANSACTION, body, documents.loads(body), "https://clinic.example/fhir")).status)


def counted(bridge: Bridge) -> tuple[int, int, int]:
    """(referrals, versions, deliveries)"""
    with bridge.store.reading() as tx:
        [one] = referrals.listing(tx, "north")
        versions = records.versions(tx, "north", "referral", one.id)
        waiting = tx.first(select(func.count()).select_from(deliveries))
        assert waiting is not None
        return 1, len(versions), waiting[0]


def test_a_referral_pushed_several_times_at_once_is_one(bridge: Bridge):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda number: pushed(bridge, request_id=f"r-{number}"), range(AT_ONCE)))
    assert {etag for _, etag in told} == {'W/"1"'}
    assert {status for status, _ in told} <= {200, 201}
    assert counted(bridge) == (1, 1, 1)


def test_a_change_pushed_several_times_at_once_is_one_version(bridge: Bridge):
    pushed(bridge, request_id="first")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda number: pushed(bridge, request_id=f"r-{number}", priority="stat"), range(AT_ONCE)))
    assert {etag for _, etag in told} == {'W/"2"'}
    assert counted(bridge) == (1, 2, 2)


def test_what_came_unread_is_read_once_by_however_many_look_at_once(bridge: Bridge):
    with bridge.store.transaction() as tx:
        clients.register(tx, SENDER)
    assert pushed_as_transaction(bridge, 0) == 200  # read, as the first of its likeness
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(lambda number: pushed_as_transaction(bridge, number + 1), range(AT_ONCE))) == [200] * AT_ONCE
    with bridge.store.reading() as tx:
        assert len(unread_rows.waiting(tx, "north", 10)) == AT_ONCE
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: unread.catch_up(bridge, "north"), range(AT_ONCE)))
    with bridge.store.reading() as tx:
        assert unread_rows.waiting(tx, "north", 10) == [] and unread_rows.refused(tx, "north") == []
        known = referrals.listing(tx, "north")
        assert [len(records.versions(tx, "north", "referral", one.id)) for one in known] == [1] * (AT_ONCE + 1)
        sent = tx.first(select(func.count()).select_from(deliveries))
        assert sent is not None and sent[0] == AT_ONCE + 1


@pytest.mark.parametrize("letters", [10, 60_000])
def test_a_message_is_known_by_its_name_however_long_that_is(bridge: Bridge, letters: int):
    named, other = ("".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=letters)) for seed in (1, 2))

    def pushed_as(name: str, hour: int) -> Answer:
        said = {"identifier": {"system": "urn:test", "value": name}, "timestamp": f"2026-03-02T{hour:02}:00:00Z"}
        body = json.dumps(json.loads((CAME / "transaction.json").read_text()) | said).encode()
        return refer.take(bridge, SENDER, Incoming(TRANSACTION, body, documents.loads(body), "https://clinic.example/fhir"))

    assert pushed_as(named, 9) == pushed_as(named, 9)
    with pytest.raises(Settled):
        pushed_as(named, 10)
    assert pushed_as(other, 10).status == 200
