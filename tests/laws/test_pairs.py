"""The pairs in `fixtures/cases/` are exactly what the mapping gives, and read back as the record beside them."""

import sys
import zlib
from zlib import compress

import pytest
from law_cases import CASES, ROOT, SHIPPED, same, story

from fhir_bridge import bootstrap, documents
from fhir_bridge.fhir import bundle
from fhir_bridge.settings import Settings, Site
from fhir_bridge.sync.convert import map_record

sys.path.insert(0, str(ROOT / "scripts"))
from pairs import drawn, pairs

sys.path.pop(0)
MADE = dict(pairs())
SESSIONS = [case for case in CASES if case.stem.startswith("session")]


def test_every_record_has_its_pair_and_every_pair_its_record():
    assert sorted((ROOT / "fixtures" / "cases").glob("*/*.fhir.json")) == sorted(MADE)


@pytest.mark.parametrize("file", MADE, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_pair_is_what_the_mapping_gives(file):
    assert drawn(file.read_text()) == drawn(MADE[file]), "run scripts/pairs.py and read the difference"


def test_a_page_is_compared_by_what_it_draws_whatever_compressed_it(monkeypatch):
    mapping = bootstrap.site(Settings(sites={"clinic": Site("clinic")}), "clinic").mapping
    record = documents.loads(SESSIONS[0].read_bytes())
    written = documents.pretty(map_record(mapping, record, zone=None))
    monkeypatch.setattr(zlib, "compress", lambda data, *_: compress(data, 1))
    again = documents.pretty(map_record(mapping, record, zone=None))
    assert written != again
    assert drawn(written) == drawn(again)
    corrected = record | {"patient": record["patient"] | {"family_name": "Synthetic-Another"}}
    assert drawn(documents.pretty(map_record(mapping, corrected, zone=None))) != drawn(written)


@pytest.mark.parametrize("case", SESSIONS, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_a_pair_reads_back_as_its_record(case):
    document = documents.loads(case.with_suffix(".fhir.json").read_bytes())
    assert same(SHIPPED.from_fhir(bundle.resources(document)).record, story(case))
