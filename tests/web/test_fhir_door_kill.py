"""A process killed on either side of the commit: an acknowledged referral is there, an unacknowledged one is sent again, once."""

import os
import signal
from pathlib import Path

import pytest

from fhir_bridge import bootstrap, documents, faults
from fhir_bridge.clock import utc_now
from fhir_bridge.settings import Settings
from fhir_bridge.store import records, referrals
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals.shape import TRANSACTION, Incoming

BODY = (Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound/transaction.json").read_bytes()
SENDER = Client("north", "general", "Invented General Hospital", "hospital", utc_now())


def incoming() -> Incoming:
    return Incoming(TRANSACTION, BODY, documents.loads(BODY), "https://clinic.example/fhir")


def killed_while_taking(settings: Settings, point: str) -> None:
    if (child := os.fork()) == 0:
        os.environ["FHIR_BRIDGE_FAULT"] = f"{point}:kill:1"
        faults.arm()
        refer.take(bootstrap.bridge(settings), SENDER, incoming())
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def counted(bridge: Bridge) -> tuple[int, int, int]:
    with bridge.store.reading() as tx:
        known = referrals.listing(tx, "north")
        messages = sum(len(referrals.messages_of(tx, "north", one.id)) for one in known)
        return len(records.listing(tx, tenant="north", kind="referral")), len(known), messages


@pytest.mark.parametrize(("point", "kept"), [("I3", (0, 0, 0)), ("I4", (1, 1, 1))])
def test_a_killed_process_leaves_all_of_a_referral_or_nothing(settings: Settings, point: str, kept: tuple[int, int, int]):
    bootstrap.prepare(settings)
    killed_while_taking(settings, point)
    bridge = bootstrap.bridge(settings)
    assert counted(bridge) == kept
    assert refer.take(bridge, SENDER, incoming()).status == 200
    assert counted(bridge) == (1, 1, 1)
    bridge.store.close()
