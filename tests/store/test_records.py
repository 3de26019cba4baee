"""Records, answers, links and clients: what is put in comes out as it was."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text
from store_rows import NOON, put

from fhir_bridge.store import clients, inbox, links, records
from fhir_bridge.store.database import Store

SEEN = '{"weight":71.50,"b":1e2,"a":"é \\u2028"}'.encode()


def test_a_document_comes_back_byte_for_byte(store: Store) -> None:
    with store.transaction() as tx:
        records.put(tx, tenant="clinic", kind="session", id="S-1", version=1, patient="P-1", document=SEEN, sha256="0", now=NOON)
    with store.reading() as tx:
        found = records.current(tx, "clinic", "session", "S-1")
        assert found is not None
        assert (found.document, found.stored_at, found.patient) == (SEEN, NOON, "P-1")


def test_the_current_version_is_the_highest(store: Store) -> None:
    with store.transaction() as tx:
        for version in (1, 2, 3):
            put(tx, version=version)
    with store.reading() as tx:
        current = records.current(tx, "clinic", "session", "S-1")
        assert current is not None and current.version == 3
        assert [each.version for each in records.versions(tx, "clinic", "session", "S-1")] == [1, 2, 3]
        assert records.version(tx, "clinic", "session", "S-1", 2) is not None
        assert records.version(tx, "clinic", "session", "S-1", 4) is None
        assert [each.version for each in records.of_patient(tx, "clinic", "P-1")] == [3]


def test_a_version_once_stored_stays_as_it_is(store: Store) -> None:
    with store.transaction() as tx:
        assert put(tx)
    with store.transaction() as tx:
        assert not put(tx)
    with pytest.raises(records.VersionTaken), store.transaction() as tx:
        records.put(tx, tenant="clinic", kind="session", id="S-1", version=1, patient="P-1", document=b"{}", sha256="other", now=NOON)


def test_a_version_older_than_the_current_one_is_refused(store: Store) -> None:
    with store.transaction() as tx:
        put(tx, version=2)
    with pytest.raises(records.VersionTaken, match="version 2 of this session is stored"), store.transaction() as tx:
        put(tx, version=1)
    with store.reading() as tx:
        assert [each.version for each in records.versions(tx, "clinic", "session", "S-1")] == [2]


def test_one_tenant_does_not_see_anothers_records(store: Store) -> None:
    with store.transaction() as tx:
        put(tx, tenant="clinic")
        put(tx, "S-2", tenant="other")
    with store.reading() as tx:
        assert records.current(tx, "other", "session", "S-1") is None
        assert [each.id for each in records.listing(tx, tenant="other", kind="session")] == ["S-2"]
        assert records.of_patient(tx, "nobody", "P-1") == []


def remember(tx: object, key: str = "k") -> None:
    inbox.remember(tx, tenant="clinic", client="c", key=key, body_sha256="0", status=202, response=SEEN, now=NOON)  # type: ignore[arg-type]


def test_the_first_answer_is_remembered(store: Store) -> None:
    with store.transaction() as tx:
        assert inbox.remembered(tx, tenant="clinic", client="c", key="k") is None
        remember(tx)
    with store.reading() as tx:
        assert inbox.remembered(tx, tenant="clinic", client="c", key="k") == inbox.Remembered("0", 202, SEEN)
        assert inbox.remembered(tx, tenant="clinic", client="other", key="k") is None


def test_the_second_of_two_requests_with_one_key_is_rolled_back(store: Store) -> None:
    with store.transaction() as tx:
        remember(tx)
    with pytest.raises(inbox.KeyTaken), store.transaction() as tx:
        put(tx)
        remember(tx)
    with store.reading() as tx:
        assert records.current(tx, "clinic", "session", "S-1") is None


def link(ours: str = "Patient/0001", theirs: str | None = "Patient/77") -> links.Link:
    """A link; with `theirs` None, of a resource the hospital does not have yet."""
    version, etag, seen = ("3", 'W/"3"', SEEN) if theirs else (None, None, None)
    return links.Link("clinic", "north", ours, theirs, version, etag, SEEN, seen, None, NOON)


def test_a_link_is_found_from_both_sides_and_from_the_record(store: Store) -> None:
    with store.transaction() as tx:
        links.put(tx, [link()], kind="session", record_id="S-1")
        links.put(tx, [link("Encounter/0002", None)], kind="session", record_id="S-1")
    with store.reading() as tx:
        assert links.by_ours(tx, "clinic", "north", "Patient/0001") == link()
        assert links.by_theirs(tx, "clinic", "north", "Patient/77") == [link()]
        assert [each.ours for each in links.of_record(tx, "clinic", "session", "S-1")] == ["Encounter/0002", "Patient/0001"]
        assert links.by_ours(tx, "clinic", "south", "Patient/0001") is None
        assert links.of_record(tx, "clinic", "session", "S-1", hospital="south") == []


def test_one_patient_speaks_for_every_session(store: Store) -> None:
    with store.transaction() as tx:
        links.put(tx, [link()], kind="session", record_id="S-1")
        links.put(tx, [link(theirs="Patient/78")], kind="session", record_id="S-2")
    with store.reading() as tx:
        assert links.of_record(tx, "clinic", "session", "S-1") == [link(theirs="Patient/78")]
        assert links.records_of(tx, "clinic", "north", "Patient/0001") == [("session", "S-1"), ("session", "S-2")]
        assert links.by_theirs(tx, "clinic", "north", "Patient/77") == []


def test_a_client_enters_with_its_key_until_it_is_revoked(store: Store) -> None:
    with store.transaction() as tx:
        key = clients.add(tx, tenant="clinic", id="c1", name="Clinic software", kind="clinic", now=NOON)
    with store.reading() as tx:
        found = clients.authenticate(tx, key)
        assert found == clients.Client("clinic", "c1", "Clinic software", "clinic", NOON)
        assert clients.authenticate(tx, key[:-1]) is None
        assert clients.authenticate(tx, "") is None
        assert clients.authenticate(tx, "\ud800\x00") is None
    with store.transaction() as tx:
        assert clients.revoke(tx, tenant="clinic", id="c1", now=NOON)
        assert not clients.revoke(tx, tenant="clinic", id="c1", now=NOON)
        assert clients.authenticate(tx, key) is None
        assert [each.revoked_at for each in clients.listing(tx)] == [NOON]


def test_a_key_is_not_in_the_database(store: Store) -> None:
    with store.transaction() as tx:
        key = clients.add(tx, tenant="clinic", id="c1", name="n", kind="clinic", now=NOON)
        assert key.removeprefix("fhirbridge_") not in str(tx.execute(text("SELECT * FROM clients")).all())
    assert len(key) == len("fhirbridge_") + 43
    assert key != clients.new_key()


def test_an_id_is_given_once(store: Store) -> None:
    with store.transaction() as tx:
        clients.add(tx, tenant="clinic", id="c1", name="n", kind="clinic", now=NOON)
    with pytest.raises(clients.ClientExists), store.transaction() as tx:
        clients.add(tx, tenant="clinic", id="c1", name="n", kind="admin", now=NOON)


def test_of_requests_with_one_key_at_once_one_is_first(store: Store) -> None:
    start = Barrier(4)

    def accept(number: int) -> bool:
        start.wait()
        try:
            with store.transaction() as tx:
                put(tx, f"S-{number}")
                remember(tx)
        except inbox.KeyTaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        first = [number for number, was_first in enumerate(pool.map(accept, range(4))) if was_first]
    with store.reading() as tx:
        assert [f"S-{number}" for number in first] == [each.id for each in records.listing(tx, tenant="clinic", kind="session")]
    assert len(first) == 1
