"""Following what changed while many write: everything once, in order, and nothing that was rolled back."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ward import CLINIC, Clock, Ward, post, work

from fhir_bridge.hospital import cards
from fhir_bridge.store import audit
from fhir_bridge.store.database import Store, Transaction
from fhir_bridge.sync import changes, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import stopped

KEY = b"a key for tests" * 3
WRITERS, EACH = 8, 12


def write(tx: Transaction, id: str, *, action: str = "accept", tenant: str = "default") -> None:
    audit.write(tx, tenant=tenant, actor="c", action=action, subject=f"session/{id}", detail={"version": 1}, now=tx.now, key=KEY)


def follow(store: Store, after: int, limit: int) -> dict[str, Any]:
    with store.reading() as tx:
        return changes.read(tx, "default", after=after, limit=limit)


def following(store: Store, until: Callable[[], bool], *, limit: int = 7) -> list[str]:
    """Everything a reader sees that goes on from its cursor, asking all the time, until the writers are done and nothing is left."""
    seen: list[str] = []
    cursor, done = 0, False
    while True:
        done = until()  # before the page: what was committed by then is in it
        page = follow(store, cursor, limit)
        cursor = page["next"]
        seen += [change["id"] for change in page["changes"]]
        if done and not page["changes"]:
            return seen


def test_a_reader_that_follows_many_writers_sees_every_change_once_and_in_order(store: Store) -> None:
    committed: list[str] = []

    def writer(number: int) -> None:
        chance = random.Random(number)
        for turn in range(EACH):
            id = f"{number}-{turn}"
            try:
                with store.transaction() as tx:
                    time.sleep(chance.uniform(0, 0.003))
                    write(tx, id)
                    write(tx, id, action="login")  # what is no change takes numbers too
                    time.sleep(chance.uniform(0, 0.003))  # an earlier number may commit late: nobody may see a later one before
                    if chance.random() < 0.2:
                        raise KeyError
                    write(tx, id, tenant="other")
                committed.append(id)
            except KeyError:
                continue

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    seen = following(store, lambda: not any(thread.is_alive() for thread in threads))
    assert len(committed) > WRITERS
    assert sorted(seen) == sorted(committed)
    with store.reading() as tx:
        told = [change["id"] for change in changes.read(tx, "default", after=0, limit=1000)["changes"]]
    assert seen == told  # as anybody who comes later reads them
    for number in range(WRITERS):
        mine = [id for id in seen if id.startswith(f"{number}-")]
        assert mine == sorted(mine, key=lambda id: int(id.partition("-")[2]))


def test_a_later_number_is_never_seen_before_an_earlier_one(store: Store) -> None:
    written, commit = threading.Event(), threading.Event()

    def slow() -> None:
        with store.transaction() as tx:
            write(tx, "slow")
            written.set()
            commit.wait(10)

    def quick() -> None:
        with store.transaction() as tx:
            write(tx, "quick")

    threads = [threading.Thread(target=work) for work in (slow, quick)]
    threads[0].start()
    written.wait(10)
    threads[1].start()
    assert follow(store, 0, 10) == {"changes": [], "next": 0}
    commit.set()
    for thread in threads:
        thread.join()
    assert [change["id"] for change in follow(store, 0, 10)["changes"]] == ["slow", "quick"]


def test_a_page_without_changes_goes_past_what_is_none(store: Store) -> None:
    with store.transaction() as tx:
        for number in range(5):
            write(tx, str(number), action="login")
    assert follow(store, 0, 2) == {"changes": [], "next": 5}
    with pytest.raises(changes.UnknownCursor):
        follow(store, 6, 2)


def test_how_a_delivery_ended_is_told(bridge: Bridge, hospital: Ward, session: dict[str, Any], clock: Clock) -> None:
    post(bridge, session)
    work(bridge)
    page = changes.page(bridge, "default", after=0, limit=10)
    assert [(change["what"], change["by"], change.get("hospital")) for change in page["changes"]] == [
        ("session.changed", CLINIC.id, None),
        ("session.delivered", "worker", "general"),
    ]
    assert page["changes"][1]["kept"] is True
    hospital.spoiled.after("POST", 0, 422)
    later = session | {"version": 2}
    post(bridge, later | {"patient": session["patient"] | {"family_name": "Other"}})
    work(bridge)
    page = changes.page(bridge, "default", after=page["next"], limit=10)
    assert [change["what"] for change in page["changes"]] == ["session.changed", "session.stopped"]
    [dead] = status.overview(bridge)["dead"]
    assert cards.card(dead["reason"])
    stopped.discard(bridge, tenant="default", id=dead["id"], who="admin", why="A test")
    [change] = changes.page(bridge, "default", after=page["next"], limit=10)["changes"]
    assert (change["what"], change["id"], change["version"]) == ("session.discarded", session["id"], 2)


def test_every_word_of_the_feed_is_explained_to_those_who_follow_it() -> None:
    table = (Path(__file__).parents[2] / "docs" / "changes.md").read_text()
    assert {word for word in changes.WORDS.values() if f".{word}`" not in table} == set()
