"""The clinic's sessions and its decisions move one referral at the same time, on both databases: no session is refused for it."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_matching import ROWAN, SENDER
from test_refer_session_loop import BODY
from ward import CLINIC, post

from fhir_bridge import bootstrap, documents
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import audit, records
from fhir_bridge.store.database import Store
from fhir_bridge.store.records import VersionTaken
from fhir_bridge.sync import refer, refer_inbox
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.refer_shape import TASK, Incoming

TURNS = 15


@pytest.fixture
def shared(database_url: str) -> Iterator[Bridge]:
    settings = Settings(
        database_url=Secret(database_url),
        audit_key=Secret("a key of the test, long enough to be one"),
        sites={"default": Site("default", hospitals=("general",))},
        hospitals={"general": Hospital("general", "http://127.0.0.1:9/fhir")},  # nobody answers there, and nobody is asked
    )
    store = Store(database_url, allow_unsafe=True)
    yield replace(bootstrap.bridge(settings), store=store, dispatch=None)
    store.close()


def test_sessions_and_decisions_at_once_leave_whole_histories(shared: Bridge) -> None:
    refer.take(shared, SENDER, Incoming(TASK, BODY, documents.loads(BODY), "https://clinic.example/fhir"))
    [id] = [one["id"] for one in refer_inbox.listing(shared, "default")]
    refer_inbox.decide(shared, CLINIC, id, "accept")
    refused: list[Exception] = []

    def treat() -> None:
        base = {"id": "S-AT-ONCE", "patient": ROWAN | {"id": "P-7"}, "referral": {"id": id}}
        for version in range(1, TURNS + 1):
            state = ("scheduled", "no-show")[version % 2]
            try:
                post(shared, base | {"status": state, "version": version})
            except Exception as error:
                refused.append(error)

    def decide() -> None:
        for turn in range(TURNS):
            words = ("hold", {"reason": "No chair."}) if turn % 2 else ("accept", {})
            try:
                refer_inbox.decide(shared, CLINIC, id, words[0], **words[1])
            except (VersionTaken, refer_inbox.NotNow):
                pass
            except Exception as error:
                refused.append(error)

    threads = [threading.Thread(target=one) for one in (treat, decide)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    with shared.store.reading() as tx:
        assert [one.version for one in records.versions(tx, "default", "session", "S-AT-ONCE")] == list(range(1, TURNS + 1))
        versions = [one.version for one in records.versions(tx, "default", "referral", id)]
        assert versions == list(range(1, len(versions) + 1))
        assert audit.verify(tx, "default", shared.audit_key) is None
