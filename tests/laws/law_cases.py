"""What the laws are tried on: the shipped mapping, generated records of both kinds, the records of all stories, HL7's examples."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import hypothesis
import pytest
import strategies
from hypothesis import HealthCheck, Phase, settings

from fhir_bridge import bootstrap, documents
from fhir_bridge.clinic import records
from fhir_bridge.mapping import Mapping
from fhir_bridge.settings import Settings, Site

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted(path for path in (ROOT / "fixtures" / "cases").glob("*/*.json") if not path.name.endswith(".fhir.json"))
Resource = dict[str, Any]
Record = dict[str, Any]
SHIPPED: Mapping = bootstrap.site(Settings(sites=MappingProxyType({"north": Site("north")})), "north").mapping
#: whole templates that are only written: the laws of reading do not hold for them
ONE_WAY = {name for name, template in SHIPPED.templates.items() if template.only_to_fhir}
#: `LAW_EXAMPLES=2000 pytest tests/laws` looks longer; `LAW_SHRINK=1` takes minutes to make a failing record small
EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "15"))
_LOOK = (Phase.explicit, Phase.reuse, Phase.generate)
LOOK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(*_LOOK, Phase.shrink) if os.environ.get("LAW_SHRINK") else _LOOK,
)


def law(**given: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A property of generated records."""

    def named(test: Callable[..., None]) -> Callable[..., None]:
        return LOOK(hypothesis.given(**given)(test))

    return named


every_story = pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
SESSIONS = strategies.sessions()
APPOINTMENTS = strategies.appointments()


def story(case: Path) -> Record:
    """The record of one fixture, as the door leaves it."""
    document = documents.loads(case.read_bytes())
    return records.load(records.kind_of(document), document, zone=None)


def resources(record: Record) -> list[Resource]:
    """What the record becomes, free to be changed."""
    return deepcopy(SHIPPED.to_fhir(record).resources)


def two_way(found: Iterable[Resource]) -> list[Resource]:
    """Those resources that are read at all."""
    listed = list(found)
    unread = {index for index, template, _ in SHIPPED.spoken(listed) if template.name in ONE_WAY}
    return [resource for index, resource in enumerate(listed) if index not in unread]


def same(one: Any, other: Any) -> bool:
    """Equal to the last digit."""
    return documents.canonical(one) == documents.canonical(other)


def by_id(found: Iterable[Resource]) -> dict[str, str]:
    """Every resource as text, by its type and id."""
    return {f"{one['resourceType']}/{one['id']}": documents.canonical(one).decode() for one in found}


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every leaf of a document, with the way to it; what is empty is a leaf."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for key, inner in inside:
        found = True
        yield from leaves(inner, (*path, key))
    if not found:
        yield path, value


@cache
def official_examples() -> dict[str, Resource]:
    """HL7's R4 examples of the types that templates speak of."""
    code = "from npm_package import fetch; from r4_definitions import PACKAGE; print(fetch(*PACKAGE))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        if os.environ.get("FHIR_BRIDGE_OFFLINE"):
            pytest.skip("HL7's R4 package is not in build/ and FHIR_BRIDGE_OFFLINE is set")
        pytest.fail("HL7's R4 package could not be fetched; let npm reach its registry, or set FHIR_BRIDGE_OFFLINE=1")
    paths = [path for path in sorted(Path(done.stdout.strip()).glob("*.json")) if path.name.partition("-")[0] in SHIPPED.by_type]
    found = {path.name: documents.loads(path.read_bytes(), max_bytes=50_000_000, max_depth=64) for path in paths}
    return {name: example for name, example in found.items() if example["resourceType"] in SHIPPED.by_type}
