"""The pairs in `fixtures/cases/` are exactly what the mapping gives, and read back as the record beside them."""

import sys

import pytest
from law_cases import CASES, ROOT, SHIPPED, same, story

from fhir_bridge import documents
from fhir_bridge.fhir import bundle

sys.path.insert(0, str(ROOT / "scripts"))
from pairs import pairs

sys.path.pop(0)
MADE = dict(pairs())
SESSIONS = [case for case in CASES if case.stem.startswith("session")]


def test_every_record_has_its_pair_and_every_pair_its_record():
    assert sorted((ROOT / "fixtures" / "cases").glob("*/*.fhir.json")) == sorted(MADE)


@pytest.mark.parametrize("file", MADE, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_pair_is_what_the_mapping_gives(file):
    assert file.read_text() == MADE[file], "run scripts/pairs.py and read the difference"


@pytest.mark.parametrize("case", SESSIONS, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_a_pair_reads_back_as_its_record(case):
    document = documents.loads(case.with_suffix(".fhir.json").read_bytes())
    assert same(SHIPPED.from_fhir(bundle.resources(document)).record, story(case))
