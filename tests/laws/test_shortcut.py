"""The fast reader decides nothing: whatever is done to resources, it says what the plain reader says, or nothing.

`FHIR_BRIDGE_FUZZ=100000` is the full run; without it some thousand mutated resources are tried.
"""

import os
import random
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench.engine import engine
from hypothesis import HealthCheck, given, settings
from strategies import sessions

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.mapping import Mapping

ROUNDS = int(os.environ.get("FHIR_BRIDGE_FUZZ", "4000"))
CASES = Path(__file__).parents[2] / "fixtures" / "cases"
Place = tuple[Any, Any]  # a dict or list, and a key or index of it
calm = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _plain() -> Mapping:
    """The same templates without the shortcut."""
    known = engine()
    plain = Mapping(known.templates, known.by_type, known.tables)
    plain.__dict__["_read_all"] = lambda _: None
    return plain


PLAIN = _plain()


def _agree(resources: list[dict[str, Any]]) -> bool:
    """True when the shortcut answered; fails when it answered anything else than the plain reader."""
    found = engine()._read_all(resources)
    if found is None:
        return False
    read = PLAIN.from_fhir(resources)
    assert documents.canonical(found[0]) == documents.canonical(read.record)
    assert documents.canonical(found[1]) == documents.canonical(read.links)
    assert (read.residue, read.conflicts) == ([], [])
    return True


def _places(node: Any) -> list[Place]:
    found: list[Place] = []
    for key in node if isinstance(node, dict) else range(len(node)):
        found.append((node, key))
        if isinstance(node[key], dict | list):
            found += _places(node[key])
    return found


def _drop(rng: random.Random, place: Place) -> None:
    del place[0][place[1]]


def _double(rng: random.Random, place: Place) -> None:
    node, key = place
    if isinstance(node, list):
        node.insert(rng.randrange(len(node) + 1), deepcopy(node[key]))
    elif isinstance(node[key], list):
        node[key] *= 2


def _shuffle(rng: random.Random, place: Place) -> None:
    value = place[0][place[1]]
    if isinstance(value, list):
        rng.shuffle(value)
    elif isinstance(value, dict):
        place[0][place[1]] = dict(rng.sample(sorted(value.items(), key=lambda item: item[0]), len(value)))


def _foreign(rng: random.Random, place: Place) -> None:
    node, key = place
    if isinstance(node, dict):
        extra = [{"url": "urn:oid:2.999", "valueCode": "x"}]
        node[rng.choice(["modifierExtension", "extension", f"_{key}", "note", "id", "comparator", "implicitRules"])] = rng.choice(
            [extra, "x"]
        )
    else:
        node.append({"system": "urn:oid:2.999", "code": "x"})


def _wrong(rng: random.Random, place: Place) -> None:
    value = place[0][place[1]]
    place[0][place[1]] = rng.choice([None, True, False, 1, 0, "", "x", [], {}, [value], {"value": value}, str(value), Decimal(1), [None]])


def _respelled(rng: random.Random, place: Place) -> None:
    """Another spelling of the same number or time; or nearly the same."""
    node, key = place
    value = node[key]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        node[key] = rng.choice(
            [Decimal(value) + 0, Decimal(f"{value}0") if "." in str(value) else Decimal(f"{value}.0"), float(value), value == 1]
        )
    elif isinstance(value, str):
        respelt = [
            value.replace("-05:00", "-04:00"),
            value.replace("-05:00", "Z"),
            value.replace(":00-", ":00.0-"),
            f"{value} ",
            value.upper(),
        ]
        node[key] = rng.choice([*respelt, value.replace("/", "%2F"), value.replace("urn:", "URN:")])


def _moved(rng: random.Random, place: Place) -> None:
    """Something else of the same object or list stands here."""
    node, key = place
    node[key] = deepcopy(node[rng.choice(list(node))] if isinstance(node, dict) else rng.choice(node))


DAMAGE: list[Callable[[random.Random, Place], None]] = [_drop, _double, _shuffle, _foreign, _wrong, _respelled, _moved]


def _small(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources of a session with few rows in each list, as they come from the wire."""
    few = {name: value[:1] if isinstance(value, list) else value for name, value in record.items()}
    return list(documents.loads(documents.dumps(engine().to_fhir(few).resources)))


@pytest.mark.parametrize("case", ["monitored-clinic-visit", "status-migrainosus-rescue", "referred-biologic", "multi-day-series"])
def test_shortcut_and_plain_reader_agree_on_damaged_resources(case: str):
    rng, answered = random.Random(case), 0
    resources = _small(records.load("session", documents.loads((CASES / case / "session-1.json").read_bytes()), zone=None))
    assert _agree(resources)
    for _ in range(ROUNDS // 4):
        index = rng.randrange(len(resources))
        damaged = deepcopy(resources[index])
        rng.choice(DAMAGE)(rng, rng.choice(_places(damaged)))
        rest = [*resources[:index], *([damaged] * rng.choice([1, 1, 1, 2])), *resources[index + 1 :]]
        answered += _agree(rng.sample(rest, len(rest)))
    assert answered > 0  # some damage is none: else nothing was compared


@calm
@given(sessions())
def test_shortcut_and_plain_reader_agree_on_any_session(record: dict[str, Any]):
    _agree(engine().to_fhir(record).resources)


SHRUNK = sorted((Path(__file__).parents[2] / "fixtures" / "shrunk").glob("*.json"))


@pytest.mark.parametrize("case", SHRUNK, ids=lambda path: path.stem)
def test_shortcut_and_plain_reader_agree_on_what_they_once_disagreed_on(case: Path):
    assert not _agree(documents.loads(case.read_bytes()))
