"""SIGKILL at any moment loses nothing that was acknowledged."""

import os
import random
import signal
import time
from typing import NoReturn

from store_rows import enqueue

from fhir_bridge.clock import utc_now
from fhir_bridge.store import outbox
from fhir_bridge.store.database import Store

KILLS = 20


def accept_for_ever(url: str, run: int, told: int) -> NoReturn:
    """Accepts sessions one after another; says each one's name only after its commit."""
    store, number = Store(url, allow_unsafe=True), 0
    while True:
        with store.transaction() as tx:
            enqueue(tx, f"S-{run}-{number}", lane=f"P-{number % 3}", now=utc_now())
        os.write(told, f"S-{run}-{number}\n".encode())
        number += 1


def killed_after(seconds: float, url: str, run: int) -> list[str]:
    """The names a writer acknowledged before it was killed, so many seconds after the first one."""
    heard, told = os.pipe()
    if (writer := os.fork()) == 0:
        accept_for_ever(url, run, told)
    os.close(told)
    with os.fdopen(heard, encoding="utf-8") as names:
        first = names.readline()
        time.sleep(seconds)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        return [line.strip() for line in [first, *names] if line.endswith("\n")]


def lost(store: Store, acknowledged: list[str]) -> list[str]:
    with store.reading() as tx:
        stored = {name for (name,) in tx.rows(outbox.deliveries.select().with_only_columns(outbox.deliveries.c.record_id))}
    return [name for name in acknowledged if name not in stored]


def test_a_killed_writer_loses_nothing_it_acknowledged(store: Store, database_url: str) -> None:
    store.close()
    chance = random.Random(20260302)
    acknowledged = [name for run in range(KILLS) for name in killed_after(chance.uniform(0, 0.05), database_url, run)]
    assert len(acknowledged) > KILLS
    assert lost(store, acknowledged) == []
    with store.reading() as tx:
        rows = tx.rows(outbox.deliveries.select())
    for lane in {row.lane for row in rows}:
        here = sorted(row.seq for row in rows if row.lane == lane)
        assert here == list(range(1, len(here) + 1))
    with store.transaction() as tx:
        assert outbox.lease(tx, worker="w", seconds=60) is not None


def test_the_count_of_the_lost_can_tell(store: Store) -> None:
    assert lost(store, ["S-never-stored"]) == ["S-never-stored"]
