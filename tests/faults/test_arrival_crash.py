"""SIGKILL between the storing of a referral's message and its reading: another process reads it, and a repetition changes nothing."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fhir_bridge import bootstrap, documents, faults
from fhir_bridge.clock import utc_now
from fhir_bridge.settings import Secret, Settings, Site
from fhir_bridge.store import clients, records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals.shape import MESSAGE, ORDER, TRANSACTION, Incoming
from fhir_bridge.sync.worker import Worker

POINTS = ("I6",)
HITS = (1, 2, 3)
INBOUND = Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound"
SHAPES = {ORDER: "service-request.json", TRANSACTION: "transaction.json", MESSAGE: "message.json"}
SENDER = Client("default", "general", "Invented General Hospital", "hospital", utc_now())


def sent() -> list[Incoming]:
    """A referral in each of three shapes, each another order."""
    texts = [(shape, (INBOUND / file).read_text().replace("ORD-SYN-", f"ORD-SYN-{shape}-")) for shape, file in SHAPES.items()]
    return [Incoming(shape, text.encode(), documents.loads(text.encode()), "https://clinic.example/fhir") for shape, text in texts]


def bridge_of(database: str, clock: Callable[[], datetime] = utc_now) -> Bridge:
    settings = Settings(
        database_url=Secret(database), audit_key=Secret("a key of the rehearsal, long enough to be one"), sites={"default": Site("default")}
    )
    return replace(bootstrap.bridge(settings), store=Store(database, allow_unsafe=True, clock=clock), clock=clock, dispatch=None)


def client_known(bridge: Bridge) -> None:
    with bridge.store.transaction() as tx:
        clients.add(tx, tenant="default", id="general", name=SENDER.name, kind="hospital", now=tx.now)


def killed_while_taking(database: str, fault: str) -> None:
    if (child := os.fork()) == 0:
        os.environ["FHIR_BRIDGE_FAULT"] = fault
        faults.arm()
        bridge = bridge_of(database)
        for incoming in sent():
            refer.take(bridge, SENDER, incoming)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, f"{fault} was not reached"


def known(bridge: Bridge) -> list[int]:
    """The version of each referral."""
    with bridge.store.reading() as tx:
        assert len(referrals.listing(tx, "default")) == len(records.listing(tx, tenant="default", kind="referral"))
        return [row.version for row in records.listing(tx, tenant="default", kind="referral")]


@pytest.mark.parametrize("hit", HITS)
@pytest.mark.parametrize("point", POINTS)
def test_what_a_killed_door_had_stored_is_read_by_a_worker(database_url: str, point: str, hit: int) -> None:
    now = bridge_of(database_url)
    client_known(now)
    killed_while_taking(database_url, f"{point}:kill:{hit}")
    assert known(now) == [1] * (hit - 1)
    later = bridge_of(database_url, lambda: utc_now() + timedelta(hours=1))
    Worker(later).drain()
    assert known(now) == [1] * hit
    for incoming in sent():
        refer.take(later, SENDER, incoming)
    assert known(now) == [1, 1, 1]
    for bridge in (now, later):
        bridge.store.close()
