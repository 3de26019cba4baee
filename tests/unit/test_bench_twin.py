"""The hand-written twin that the bench measures against does the same work: equal output for every fixture and for generated records."""

from pathlib import Path
from typing import Any

import pytest
from bench.engine import engine, engine_bundle
from bench.handwritten import writing
from hypothesis import HealthCheck, given, settings
from strategies import appointments, sessions

from fhir_bridge import documents
from fhir_bridge.clinic import records

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in ROOT.glob("fixtures/cases/*/*.json") if not path.name.endswith(".fhir.json"))
calm = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _record(path: Path) -> dict[str, Any]:
    document = documents.loads(path.read_bytes())
    return records.load(records.kind_of(document), document, zone=None)


def _same(record: dict[str, Any]) -> None:
    assert documents.canonical(writing.bundle(record)) == documents.canonical(engine_bundle(engine(), record))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_engine_and_twin_write_the_same_bundle_for_every_fixture(path: Path):
    _same(_record(path))


@calm
@given(sessions())
def test_engine_and_twin_write_the_same_bundle_for_any_session(record: dict[str, Any]):
    _same(record)


@calm
@given(appointments())
def test_engine_and_twin_write_the_same_bundle_for_any_appointment(record: dict[str, Any]):
    _same(record)
