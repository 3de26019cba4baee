"""The way each type is read follows from what the server says it can do, and from what the site knows of it."""

import pytest

from fhir_bridge.hospital.capabilities import SiteFile, read
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sync.pulling.mode import TYPES, modes_of


def ways(like: str, type: str, **site: frozenset[str]) -> list[str]:
    found = read(load(like).statement, site=SiteFile(vendor=like, **site))
    return [mode.name for mode in modes_of(found, type)]


@pytest.mark.parametrize("type", TYPES)
def test_hapi_tells_everything_by_its_history(type: str) -> None:
    assert ways("hapi", type)[:2] == ["history", "window"]


@pytest.mark.parametrize(
    ("like", "type", "expected"),
    [
        ("epic", "Observation", ["sweep", "reads", "none"]),
        ("epic", "Patient", ["reads", "none"]),
        ("oracle", "Observation", ["sweep", "reads", "none"]),
        ("oracle", "Task", ["none"]),
        ("athena", "Appointment", ["reads", "none"]),
        ("athena", "Encounter", ["sweep", "reads", "none"]),
    ],
)
def test_others_are_read_again(like: str, type: str, expected: list[str]) -> None:
    assert ways(like, type) == expected


def test_a_site_may_know_better_than_the_documentation() -> None:
    assert ways("oracle", "Observation", known_good=frozenset({"Observation.search._lastUpdated"}))[0] == "window"


def test_a_site_may_know_worse_than_the_statement() -> None:
    assert ways("hapi", "Task", deny=frozenset({"Task.history-type"}))[0] == "window"


def test_each_way_says_what_it_is_of_the_type_it_is_for() -> None:
    found = modes_of(read(load("hapi").statement), "Task")
    assert all(mode.words.startswith("Task: ") for mode in found)
    assert len({mode.words for mode in found}) == len(found)
