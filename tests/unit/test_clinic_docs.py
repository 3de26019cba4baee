"""The examples in the clinic developer's page are sessions that the door takes, and its tables say what the code does."""

import re
from pathlib import Path

import pytest

from fhir_bridge import documents
from fhir_bridge.clinic import records, units, words

PAGE = (Path(__file__).parents[2] / "docs" / "clinic-records.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["minimal", "richer", "referral"])
def test_an_example_is_taken(example: str) -> None:
    record = documents.loads(example.encode())
    kind = records.kind_of(record)
    assert records.identity(kind, records.load(kind, record)) == records.identity(kind, record)


def test_every_state_of_a_session_and_of_a_referral_is_explained() -> None:
    assert {*words.SESSION_STATES, *words.REFERRAL_STATES} <= set(re.findall(r"[a-z-]+", PAGE))


def test_every_unit_of_doses_and_rates_is_named() -> None:
    named = set(re.findall(r"[^\s`]+", PAGE))
    assert {*units.DOSES, *units.RATES, *units.VOLUMES} <= named
