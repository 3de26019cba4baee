"""The hand-written twin that the bench measures against does the same work: equal output for every fixture and for generated records."""

from pathlib import Path
from typing import Any

import pytest
from bench.engine import engine, engine_bundle
from bench.handwritten import reading, writing
from bench.handwritten.reader import Stranger
from hypothesis import HealthCheck, given, settings
from strategies import appointments, sessions

from fhir_bridge import documents
from fhir_bridge.clinic import records

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for path in ROOT.glob("fixtures/cases/*/*.json") if not path.name.endswith(".fhir.json") and not path.name.startswith("referral")
)
calm = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _record(path: Path) -> dict[str, Any]:
    document = documents.loads(path.read_bytes())
    return records.load(records.kind_of(document), document, zone=None)


SUMMARY = {"text": "QSBzdW1tYXJ5", "pdf": "JVBERi0=", "created": "2026-03-02T14:00:00-05:00"}


def _same(record: dict[str, Any]) -> None:
    made = engine_bundle(engine(), record)
    assert documents.canonical(writing.bundle(record)) == documents.canonical(made)
    resources = [entry["resource"] for entry in documents.loads(documents.dumps(made))["entry"]]
    assert documents.canonical(reading.record(resources)) == documents.canonical(engine().from_fhir(resources).record)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_engine_and_twin_write_and_read_the_same_for_every_fixture(path: Path):
    _same(_record(path))


@calm
@given(sessions())
def test_engine_and_twin_write_and_read_the_same_for_any_session(record: dict[str, Any]):
    _same(record)


def test_engine_and_twin_write_the_same_summary():
    _same(_record(FILES[-1]) | {"summary": SUMMARY})


@pytest.mark.parametrize(
    "change",
    [
        {"status": "registered"},
        {"valueQuantity": {"value": True, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}},
        {"valueQuantity": {"value": 80, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/s"}},
        {"subject": {"reference": "Patient/another"}},
        {"effectiveDateTime": "2026-03-02"},
        {"note": [{"text": "of the hospital's own"}]},
        {"code": {"coding": [{"system": "urn:oid:2.999", "code": "8867-4", "display": "Heart rate"}]}},
        {"modifierExtension": [{"url": "urn:oid:2.999", "valueBoolean": True}]},
    ],
    ids=str,
)
def test_the_twin_refuses_what_is_not_ours(change: dict[str, Any]):
    made = writing.resources(_record(FILES[0]))
    pulse = next(one for one in made if one["resourceType"] == "Observation" and one["code"]["coding"][0]["code"] == "8867-4")
    with pytest.raises(Stranger):
        reading.record([one | change if one is pulse else one for one in made])


@calm
@given(appointments())
def test_engine_and_twin_write_and_read_the_same_for_any_appointment(record: dict[str, Any]):
    _same(record)
