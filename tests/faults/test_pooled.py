"""Doors behind a real PgBouncer in transaction pooling, workers at PostgreSQL itself, as `deploy/` has it.

The pool has fewer connections than it has clients, so every transaction may meet another session than the one before.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from databases import POOLED, _administer
from rehearsal import Door, Forks, NoAnswer, Rehearsal, ward
from sqlalchemy import text
from test_called_workers import clinic, everything_is_delivered, workers

from fhir_bridge.errors import Refused
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store.database import Store
from fhir_bridge.store.dispatch import Dispatch

CLIENTS = 4 * POOLED


def test_what_doors_accept_through_a_pool_is_called_for_and_delivered_once(forks: Forks, postgresql_url: str, pooled_url: str) -> None:
    with ward("hapi") as hospital:
        run = Rehearsal(postgresql_url, hospital, forks)
        with Door.opened(run) as door, workers(run, 2):
            door.serve(called=True, database=pooled_url)
            with ThreadPoolExecutor(CLIENTS) as clients:
                list(clients.map(door.post, [Visit(number, patient=number // 2) for number in range(6 * CLIENTS)]))
            with clinic(run) as bridge:
                assert everything_is_delivered(bridge)
        assert (run.ledger().held, run.ledger().exact) == (6 * CLIENTS, True), run.ledger()


@pytest.mark.parametrize("point", ["I3", "I4"])
def test_a_door_killed_behind_a_pool_leaves_no_half_transaction(forks: Forks, postgresql_url: str, pooled_url: str, point: str) -> None:
    with ward("hapi") as hospital, Door.opened(Rehearsal(postgresql_url, hospital, forks)) as door, workers(door.run, 1):
        door.serve(called=True, database=pooled_url, fault=f"{point}:kill:2")
        door.post(Visit(0, patient=0))
        with pytest.raises(NoAnswer):
            door.post(Visit(1, patient=0))
        door.ended()
        door.serve(called=True, database=pooled_url)
        door.post(Visit(1, patient=0))
        with clinic(door.run) as bridge:
            assert everything_is_delivered(bridge)
        assert (door.run.ledger().held, door.deliveries(), door.run.ledger().exact) == (2, 2, True)


def test_the_same_words_again_and_again_meet_no_statement_of_another_client(pooled_url: str) -> None:
    store = Store(pooled_url, allow_unsafe=True)

    def say(number: int) -> str:
        with store.transaction() as tx:
            return str(tx.first(text("SELECT count(*) FROM records WHERE id = :id"), id=str(number)))

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert set(clients.map(say, range(40 * CLIENTS))) == {"(0,)"}
    store.close()


def test_who_reads_through_a_pool_cannot_write_and_who_comes_after_can(pooled_url: str) -> None:
    store = Store(pooled_url, allow_unsafe=True)
    statement = text("DELETE FROM records")
    with pytest.raises(Exception, match="read-only"), store.reading() as tx:
        tx.execute(statement)
    for _ in range(2 * POOLED):
        with store.transaction() as tx:
            tx.execute(statement)
    store.close()


def test_tables_are_made_through_a_pool_too(pool: str, postgresql_cluster: str) -> None:
    _administer(f"{postgresql_cluster}/postgres", "CREATE DATABASE made_through_a_pool")
    store = Store(f"{pool}/made_through_a_pool", allow_unsafe=True)
    store.upgrade()
    assert store.check() == []
    store.close()


def test_a_pool_whose_role_lacks_the_limits_of_a_session_is_refused(pool: str, postgresql_cluster: str) -> None:
    _administer(
        f"{postgresql_cluster}/postgres", "CREATE DATABASE unlimited", "ALTER ROLE pooled IN DATABASE unlimited SET lock_timeout = 0"
    )
    store = Store(f"{pool}/unlimited", allow_unsafe=True)
    [fault] = store.check()
    assert (fault.path, "deploy/postgresql-role.sql" in fault.message) == ("database.lock_timeout", True)
    store.close()


def test_a_worker_and_a_scheduler_say_that_a_pool_carries_no_call(pooled_url: str) -> None:
    dispatch = Dispatch(pooled_url)
    with pytest.raises(Refused, match="PostgreSQL's own address"):
        dispatch.run(drain=lambda lane: None, due=lambda limit: [], threads=1, stop=Event())
    with pytest.raises(Refused, match="PostgreSQL's own address"):
        dispatch.tick(look=lambda: None, stop=Event())
