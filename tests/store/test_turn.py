"""Turns at a SQLite file: one after the other, across processes; a dead or hanging holder keeps nobody from writing."""

import os
import signal
import threading
import time
from pathlib import Path

from store_rows import put

from fhir_bridge.store.database import Store
from fhir_bridge.store.turn import Turn


def test_threads_and_stores_come_one_after_the_other(tmp_path: Path) -> None:
    inside, most = 0, 0
    turns = [Turn(str(tmp_path / "bridge.db")) for _ in range(2)]

    def come(turn: Turn) -> None:
        nonlocal inside, most
        for _ in range(20):
            with turn.taken():
                inside += 1
                most = max(most, inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=come, args=(turns[number % 2],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside, most) == (0, 1)


def holder(path: str) -> int:
    """A process that has its turn, and keeps it."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with Turn(path).taken():
            os.write(writing, b".")
            time.sleep(60)
        os._exit(0)
    os.read(reading, 1)
    return child


def test_a_killed_process_gives_its_turn_back_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "bridge.db")
    os.kill(child := holder(path), signal.SIGKILL)
    os.waitpid(child, 0)
    begun = time.monotonic()
    with Turn(path, patience=30).taken():
        assert time.monotonic() - begun < 10


def test_who_waits_too_long_goes_on_without(sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    child = holder(path)
    try:
        with Turn(path, patience=0.05).taken():
            pass
        store = Store(sqlite_url)
        with store.transaction() as tx:
            assert put(tx)
        store.close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
