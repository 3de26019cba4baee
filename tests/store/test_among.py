"""Many names in one question: each is found, whatever their number and spelling, and the index is asked, not the table walked."""

import pytest
from store_rows import NOON

from fhir_bridge.store import links
from fhir_bridge.store.database import Store
from fhir_bridge.store.links import Link

ODD = ["Task/'\"", "Task/[1, 2]", "Task/ä{}", "Task/\\"]


def _known(store: Store, names: list[str]) -> None:
    found = [Link("clinic", "general", f"Task/ours-{at}", name, "1", None, None, None, None, NOON) for at, name in enumerate(names)]
    with store.transaction() as tx:
        links.refresh(tx, found)


@pytest.mark.parametrize("number", [0, 1, 5_000])
def test_as_many_names_as_there_are_may_be_asked_for_at_once(store: Store, number: int) -> None:
    _known(store, [f"Task/{at}" for at in range(10)])
    with store.reading() as tx:
        found = links.stamps(tx, "clinic", "general", [f"Task/{at}" for at in range(number)])
    assert sorted(found) == [f"Task/{at}" for at in range(min(number, 10))]


def test_a_name_is_found_by_its_own_spelling_alone(store: Store) -> None:
    _known(store, [*ODD, "Task/1"])
    with store.reading() as tx:
        assert sorted(links.stamps(tx, "clinic", "general", ODD)) == sorted(ODD)
        assert links.stamps(tx, "clinic", "general", ["Task/", "task/1", "1"]) == {}
