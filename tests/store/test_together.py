"""Writes that share a commit: who is told that it is stored finds it stored, who is refused left nothing, and each by itself."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from store_rows import put

from fhir_bridge.store import records
from fhir_bridge.store.database import Store, StoreError, Transaction

AT_ONCE = 8


def stored(store: Store) -> set[str]:
    with store.reading() as tx:
        return {one.id for one in records.listing(tx, tenant="clinic", kind="session", limit=1000)}


@contextmanager
def held(store: Store) -> Iterator[None]:
    """Another process is writing: whoever wants to write waits, and comes together."""
    with store.transaction():
        yield


def at_once(store: Store, *works: Any) -> list[Future[Any]]:
    """What became of each, all of them waiting for one commit."""
    with ThreadPoolExecutor(len(works)) as pool, held(store):
        begun = [threading.Event() for _ in works]
        futures = [pool.submit(_told, store, work, event) for work, event in zip(works, begun, strict=True)]
        for event in begun:
            assert event.wait(30)
    return futures


def _told(store: Store, work: Any, begun: threading.Event) -> Any:
    begun.set()
    return store.together(work)


def writing(id: str) -> Any:
    def work(tx: Transaction) -> str:
        put(tx, id)
        return id

    return work


def failing(id: str) -> Any:
    def work(tx: Transaction) -> str:
        put(tx, id)
        raise LookupError(id)

    return work


def test_all_that_come_together_are_stored_and_each_is_told_its_own(store: Store) -> None:
    names = [f"S-{number}" for number in range(AT_ONCE)]
    assert [one.result() for one in at_once(store, *map(writing, names))] == names
    assert stored(store) == set(names)


def test_one_that_fails_is_told_so_and_undone_and_the_others_stand(store: Store) -> None:
    told = at_once(store, writing("S-1"), failing("S-2"), writing("S-3"), failing("S-4"))
    assert [type(one.exception()) for one in told] == [type(None), LookupError, type(None), LookupError]
    assert stored(store) == {"S-1", "S-3"}


def test_alone_what_fails_is_undone(store: Store) -> None:
    with pytest.raises(LookupError):
        store.together(failing("S-1"))
    assert store.together(writing("S-2")) == "S-2"
    assert stored(store) == {"S-2"}


def test_they_share_commits(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    commits: list[str] = []
    with store.transaction() as tx:
        tx.driver.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    commits.clear()
    works = [writing(f"S-{number}") for number in range(AT_ONCE)]
    told = at_once(store, *works)
    assert [one.exception() for one in told] == [None] * AT_ONCE
    assert 1 <= len(commits) < AT_ONCE
    store.close()


def test_when_the_database_gives_the_transaction_up_nobody_is_told_that_it_is_stored(sqlite_url: str) -> None:
    store = Store(sqlite_url)
    with store.transaction() as tx:  # as SQLite does by itself when the disk is full or cannot be read
        tx.driver.execute(
            "CREATE TRIGGER gives_up BEFORE INSERT ON records WHEN new.id = 'S-3' BEGIN SELECT RAISE(ROLLBACK, 'given up'); END"
        )
    names = [f"S-{number}" for number in range(AT_ONCE)]
    errors = [one.exception() for one in at_once(store, *map(writing, names))]
    assert isinstance(errors[3], StoreError)
    assert all(error is None or isinstance(error, StoreError) for error in errors), errors
    assert stored(store) == {name for name, error in zip(names, errors, strict=True) if error is None}
    store.close()
