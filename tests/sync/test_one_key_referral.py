"""Two sessions at once under one Idempotency-Key, of which one moves a referral too: neither waits for ever, on both databases.

What one transaction holds and another wants is taken in one order: the referral, the key, the record, the audit trail's head. Here each
transaction stops after the first of the last three that it has, until the other has one too or cannot get it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, local
from types import MappingProxyType
from typing import Any

import pytest
from test_matching import ROWAN, SENDER
from ward import CASES, post

from fhir_bridge import bootstrap, documents
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import audit, inbox, records
from fhir_bridge.store.database import Store
from fhir_bridge.sync import accept, refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox as referral_inbox
from fhir_bridge.sync.referrals.shape import TASK, Incoming

BODY = (CASES / "referred-biologic" / "inbound" / "task.json").read_bytes()
SESSION = documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes())
STUCK_SECONDS = 1.0


@pytest.fixture
def bridge(store: Store, tmp_path: Path) -> Iterator[Bridge]:
    settings = Settings(
        database_url=Secret(f"sqlite:///{tmp_path / 'unused.sqlite'}"),
        hospitals=MappingProxyType({"general": Hospital("general", "http://127.0.0.1:9/fhir")}),
        sites=MappingProxyType({"default": Site("default", hospitals=("general",))}),
    )
    bootstrap.prepare(settings)
    found = bootstrap.bridge(settings)
    found.store.close()
    yield replace(found, store=store)


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the two transactions meet: each waits, with the first lock it has, for the other to have one."""
    have, me = (Event(), Event()), local()

    def meet(taken: Callable[..., Any]) -> Callable[..., Any]:
        def taking(*given: Any, **named: Any) -> Any:
            found = taken(*given, **named)
            if hasattr(me, "number") and not have[me.number].is_set():
                have[me.number].set()
                have[1 - me.number].wait(STUCK_SECONDS)
            return found

        return taking

    monkeypatch.setattr(audit, "write", meet(audit.write))
    monkeypatch.setattr(inbox, "remember", meet(inbox.remember))
    return lambda number: setattr(me, "number", number)


def received(bridge: Bridge) -> str:
    refer.take(bridge, SENDER, Incoming(TASK, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    [found] = referral_inbox.listing(bridge, "default")
    number: str = found["id"]
    return number


@pytest.mark.parametrize("same_patient", [True, False])
def test_one_is_stored_with_what_it_moves_and_the_other_is_told_that_the_key_is_used(
    bridge: Bridge, meeting: Callable[[int], None], same_patient: bool
) -> None:
    referral = received(bridge)
    patient = ROWAN | {"id": "P-7"}
    moving = SESSION | {"id": "S-MOVES", "patient": patient, "referral": {"id": referral}}
    plain = SESSION | {"id": "S-PLAIN"} | ({"patient": patient} if same_patient else {})

    def posting(number: int) -> Any:
        meeting(number)
        return post(bridge, (moving, plain)[number], key="k-1")

    with ThreadPoolExecutor(2) as pool:
        ends = [one.exception() or one.result() for one in [pool.submit(posting, number) for number in (0, 1)]]
    answered = [end["id"] for end in ends if isinstance(end, dict)]
    assert [type(end) for end in ends if not isinstance(end, dict)] == [accept.KeyReused], ends
    with bridge.store.reading() as tx:
        assert [one.id for one in records.listing(tx, tenant="default", kind="session")] == answered
        [*_, last] = records.versions(tx, "default", "referral", referral)
    status = documents.loads(last.document)["referral"]["status"]
    assert status == ("session-done" if answered == ["S-MOVES"] else "received")
