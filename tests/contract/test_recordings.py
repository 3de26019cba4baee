"""The replies that unit tests replay are the replies HAPI gives today."""

import uuid

import pytest
import recordings

from fhir_bridge import documents


@pytest.fixture(scope="module")
def today(hapi: str) -> dict[str, recordings.Recording]:
    found = recordings.record(hapi, uuid.uuid4())
    return {name: documents.loads(documents.canonical(recording)) for name, recording in found.items()}


def test_everything_recorded_is_still_asked(today: dict[str, recordings.Recording]):
    assert recordings.names() == sorted(today), "run `make record`"


@pytest.mark.parametrize("name", recordings.names())
def test_hapi_still_answers_as_recorded(today: dict[str, recordings.Recording], name: str):
    assert today[name] == recordings.load(name), "HAPI answers otherwise now: run `make record`, and read the difference"


def test_a_recording_that_no_longer_holds_is_told(today: dict[str, recordings.Recording]):
    stale = recordings.load("update-stale")
    stale["reply"]["status"] = 412  # what the standard says, and HAPI does not do
    assert today["update-stale"] != stale
