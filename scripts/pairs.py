#!/usr/bin/env python3
"""Writes beside each clinic record in `fixtures/cases/` the FHIR that it becomes, as `fhir-bridge map` prints it.

    python scripts/pairs.py          # after a change to templates, tables or records; then read the difference

The pairs are what a person reviews when the mapping changes; a test keeps them equal to what the mapping gives.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from fhir_bridge import bootstrap, documents
from fhir_bridge.settings import Settings, Site
from fhir_bridge.sync.convert import map_record

CASES = Path(__file__).resolve().parent.parent / "fixtures" / "cases"


def pairs() -> Iterator[tuple[Path, str]]:
    """Each pair's file and what belongs in it: the transaction Bundle of a site with the settings' own defaults."""
    mapping = bootstrap.site(Settings(sites=MappingProxyType({"clinic": Site("clinic")})), "clinic").mapping
    for case in sorted(CASES.glob("*/*.json")):
        if not case.name.endswith(".fhir.json"):
            bundle = map_record(mapping, documents.loads(case.read_bytes()), zone=None)
            yield case.with_suffix(".fhir.json"), documents.pretty(bundle).rstrip("\n") + "\n"


def main() -> int:
    made = dict(pairs())
    for file in sorted(set(CASES.glob("*/*.fhir.json")) - set(made)):
        file.unlink()
        print(f"{file.relative_to(CASES)}: gone with its record")
    for file, text in made.items():
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"{file.relative_to(CASES)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
