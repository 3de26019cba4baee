"""Transactions, and the refusal to run where an acknowledged commit could be lost."""

import os
import stat
import time
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text
from store_rows import put

from fhir_bridge.clock import utc_now
from fhir_bridge.errors import Refused
from fhir_bridge.store import migrating, on_postgresql, on_sqlite, records
from fhir_bridge.store.database import Store, StoreError, Unavailable


def test_a_block_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction() as tx:
        put(tx)
        raise RuntimeError
    with store.reading() as tx:
        assert records.current(tx, "clinic", "session", "S-1") is None


def test_a_reading_transaction_cannot_write(store: Store) -> None:
    with pytest.raises((StoreError, Unavailable), match=r"(?i)read-?only"), store.reading() as tx:
        put(tx)
    with store.transaction() as tx:
        put(tx)


def test_the_databases_time_is_now_and_aware(store: Store) -> None:
    with store.reading() as tx:
        assert abs(tx.now - utc_now()) < timedelta(seconds=5)


def test_time_goes_on_within_a_transaction(store: Store) -> None:
    with store.reading() as tx:
        first = tx.now
        time.sleep(0.002)
        assert tx.now > first


def test_a_naive_time_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="aware times only"), store.transaction() as tx:
        records.put(
            tx, tenant="clinic", kind="session", id="S-1", version=1, patient="P-1", document=b"{}", sha256="0",
            now=utc_now().replace(tzinfo=None),
        )  # fmt: skip


def test_a_database_error_does_not_tell_what_was_in_the_row(store: Store) -> None:
    with pytest.raises(StoreError) as caught, store.transaction() as tx:
        records.put(
            tx, tenant="clinic", kind="session", id="S-1", version=0, patient="Imaginary-Patient", document=b'{"a":"Imaginary-Name"}',
            sha256="0", now=utc_now(),
        )  # fmt: skip
    assert "ck_records_version" in str(caught.value)
    assert "Imaginary" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__


def test_two_writers_take_turns_instead_of_failing(store: Store) -> None:
    """On SQLite the second waits at BEGIN IMMEDIATE; a lock taken later could only be refused."""
    seen = []

    def second() -> None:
        with store.transaction() as tx:
            seen.append(records.current(tx, "clinic", "session", "S-1"))
            put(tx, "S-2")

    with store.transaction() as tx:
        put(tx)
        other = Thread(target=second)
        other.start()
        time.sleep(0.1)
    other.join()
    assert len(seen) == 1


def test_every_sqlite_connection_has_its_pragmas(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.reading() as one, store.reading() as two:
        for tx in (one, two):
            assert {name: tx.execute(text(f"PRAGMA {name}")).scalar_one() for name in on_sqlite.PRAGMAS} == on_sqlite.PRAGMAS
    assert on_sqlite.PRAGMAS == {"journal_mode": "delete", "synchronous": 3, "foreign_keys": 1, "busy_timeout": 30_000}
    store.close()


def test_a_pragma_that_does_not_take_is_refused(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(on_sqlite.PRAGMAS, "synchronous", 7)
    store = Store(sqlite_url)
    with pytest.raises(Refused, match=r"database\.synchronous: is 0, must be 7"), store.reading():
        store.revision()
    assert [fault.path for fault in store.check()] == ["database.synchronous"]
    store.close()


def test_a_new_sqlite_file_is_for_its_owner_only(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new.db'}")
    store.upgrade()
    assert stat.S_IMODE(os.stat(tmp_path / "new.db").st_mode) == 0o600
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////nowhere/at/all.db",
        "mysql://localhost/x",
        "no address",
        "sqlite:///file:x?mode=memory&uri=true",
    ],
)
def test_an_address_of_no_use_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Store(url)


def test_a_postgresql_that_may_lose_commits_is_refused(postgresql_url: str) -> None:
    store = Store(postgresql_url)
    paths = {fault.path for fault in store.check()}
    assert paths == {"database.fsync", "database.full_page_writes", "database.synchronous_commit"}
    store.close()


def test_a_safe_postgresql_is_not_refused() -> None:
    assert on_postgresql.unsafe({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}) == []
    assert on_postgresql.unsafe({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "remote_apply"}) == []


def test_an_empty_database_says_what_to_do(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'new.db'}")
    assert store.revision() == (None, migrating.head())
    [fault] = store.check()
    assert "fhir-bridge db upgrade" in fault.message
    store.close()


def test_a_database_out_of_reach_is_said_to_be(postgresql_cluster: str) -> None:
    store = Store(f"{postgresql_cluster}/no_such_database", allow_unsafe=True)
    with pytest.raises(Unavailable), store.reading():
        store.revision()
    assert len(store.check()) == 1
    store.close()


def test_two_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    stores = [Store(url), Store(url)]
    threads = [Thread(target=store.upgrade) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].check() == stores[1].check() == []
    for store in stores:
        store.close()
