"""The examples in the clinic developer's page are sessions that the door takes, and its tables say what the code does."""

import re
from pathlib import Path

import pytest

from fhir_bridge import documents
from fhir_bridge.clinic import records, units

PAGE = (Path(__file__).parents[2] / "docs" / "clinic-records.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["minimal", "richer"])
def test_an_example_is_taken(example: str) -> None:
    record = documents.loads(example.encode())
    assert records.load(records.kind_of(record), record)["id"] == record["id"]


def test_every_unit_of_doses_and_rates_is_named() -> None:
    named = set(re.findall(r"[^\s`]+", PAGE))
    assert {*units.DOSES, *units.RATES, *units.VOLUMES} <= named
