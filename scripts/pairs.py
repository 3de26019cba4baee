#!/usr/bin/env python3
"""Writes beside each clinic record in `fixtures/cases/` the FHIR that it becomes, as `fhir-bridge map` prints it.

    python scripts/pairs.py          # after a change to templates, tables or records; then read the difference

The pairs are what a person reviews when the mapping changes; a test keeps them equal to what the mapping gives.
Pages are compared by what is drawn, not by their bytes: another build of zlib compresses the same page to other bytes.
"""

import re
import sys
import zlib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from fhir_bridge import bootstrap, documents
from fhir_bridge.settings import Settings, Site
from fhir_bridge.sync.convert import map_record

CASES = Path(__file__).resolve().parent.parent / "fixtures" / "cases"
_PDF = re.compile(r"JVBERi0[A-Za-z0-9+/=]+")  # base64 of %PDF-
_STREAM = re.compile(rb"stream\n(.*?)endstream", re.DOTALL)


def pairs() -> Iterator[tuple[Path, str]]:
    """Each pair's file and what belongs in it: the transaction Bundle of a site with the settings' own defaults."""
    mapping = bootstrap.site(Settings(sites=MappingProxyType({"clinic": Site("clinic")})), "clinic").mapping
    for case in sorted(CASES.glob("*/*.json")):
        if not case.name.endswith(".fhir.json"):
            bundle = map_record(mapping, documents.loads(case.read_bytes()), zone=None)
            yield case.with_suffix(".fhir.json"), documents.pretty(bundle).rstrip("\n") + "\n"


def drawn(text: str) -> str:
    """The pair's text with each PDF as what it draws: its objects and decompressed streams, without lengths and offsets."""
    return _PDF.sub(lambda found: "PDF " + _page(b64decode(found[0])).decode("latin-1"), text)


def _page(pdf: bytes) -> bytes:
    body = _STREAM.sub(lambda found: b"stream\n" + zlib.decompress(found[1]) + b"endstream", pdf.partition(b"\nxref")[0])
    return re.sub(rb"/Length \d+", b"", body)


def main() -> int:
    made = dict(pairs())
    for file in sorted(set(CASES.glob("*/*.fhir.json")) - set(made)):
        file.unlink()
        print(f"{file.relative_to(CASES)}: gone with its record")
    for file, text in made.items():
        if not file.exists() or drawn(file.read_text()) != drawn(text):
            file.write_text(text)
            print(f"{file.relative_to(CASES)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
