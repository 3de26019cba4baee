"""The sandbox keeps what it acknowledged: every version, across restarts, all of a request or nothing of it."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhir_bridge import documents
from fhir_bridge.sandbox.store import Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def write(store: Store, identity: str, **content: object) -> None:
    with store.draft() as draft:
        draft.write("Patient", identity, document={"resourceType": "Patient", **content}, method="PUT")


def test_every_version_survives_a_restart_with_its_digits(tmp_path: Path):
    file = tmp_path / "hospital.sqlite"
    store = Store(file)
    write(store, "one", multipleBirthInteger=1)
    with store.draft() as draft:
        value = documents.loads(b'{"value": 36.80}')
        draft.write("Observation", draft.new_id(), document={"valueQuantity": value}, method="POST")
        draft.write("Patient", "one", document=None, method="DELETE")
    store.close()

    again = Store(file)
    with again.draft() as draft:
        assert [(v.number, v.method, v.document is None) for v in draft.versions("Patient", "one")] == [
            (1, "PUT", False),
            (2, "DELETE", True),
        ]
        [observation] = draft.every("Observation")
        assert documents.dumps(observation.document).endswith(b'{"value":36.80}}')
        assert draft.new_id() == str(int(observation.id) + 1)
    again.close()


def test_a_request_that_fails_leaves_nothing(tmp_path: Path):
    store = Store(tmp_path / "hospital.sqlite")
    with pytest.raises(KeyError), store.draft() as draft:
        draft.write("Patient", "one", document={}, method="PUT")
        raise KeyError
    with store.draft() as draft:
        assert draft.current("Patient", "one") is None
    store.close()


def test_a_draft_sees_its_own_writes_before_others_do():
    store = Store()
    with store.draft() as draft:
        draft.write("Patient", "one", document={"identifier": [{"value": "P-1"}]}, method="PUT")
        assert [version.id for version in draft.every("Patient", "P-1")] == ["one"]
        assert ("Patient", "one") not in store.versions


def test_an_identifier_that_was_changed_is_found_by_its_new_value():
    store = Store()
    write(store, "one", identifier=[{"value": "P-1"}])
    write(store, "one", identifier=[{"value": "P-2"}])
    with store.draft() as draft:
        assert [version.number for version in draft.every("Patient", "P-2")] == [2]


def test_times_are_whole_milliseconds_and_never_go_back():
    clock = iter([NOON + timedelta(microseconds=1999), NOON - timedelta(hours=1)])
    store = Store(clock=lambda: next(clock))
    write(store, "one")
    write(store, "two")
    assert [version.updated for version in store.log] == [NOON + timedelta(milliseconds=1)] * 2
    assert store.log[0].document is not None
    assert store.log[0].document["meta"]["lastUpdated"] == "2026-03-02T12:00:00.001+00:00"


def test_writers_at_once_lose_no_version():
    store = Store()
    threads = [threading.Thread(target=lambda: [write(store, "one") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.number for version in store.versions["Patient", "one"]] == list(range(1, 401))
    assert [version.place for version in store.log] == list(range(1, 401))


def test_what_a_hospital_already_has_is_put_in_as_it_is():
    store = Store()
    store.hold([{"resourceType": "Location", "id": "L-1", "name": "Infusion suite"}])
    with store.draft() as draft:
        assert [version.path for version in draft.every("Location")] == ["Location/L-1"]
