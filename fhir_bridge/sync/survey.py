"""The coverage of a folder of documents: per document, per folder, what nothing speaks of and which codes nobody knew.

Documents are read one after the other and only counted; paths are counted without positions and codes without their owner, so
that the survey of a hospital's export holds no patient data.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.mapping.explain import UnknownCode
from fhir_bridge.sync import coverage, lines
from fhir_bridge.sync.bridge import Site


@dataclass(slots=True)
class Tally:
    """What was counted: leaves, those spoken of, and documents."""

    spoken: int = 0
    leaves: int = 0
    documents: int = 0

    def add(self, spoken: int, leaves: int) -> None:
        self.spoken, self.leaves, self.documents = self.spoken + spoken, self.leaves + leaves, self.documents + 1

    def data(self) -> dict[str, Any]:
        return {"documents": self.documents, **coverage.figures(self.spoken, self.leaves)}


@dataclass(slots=True)
class Survey:
    """The counts of a folder. `unread` has the files that are neither record nor FHIR, each with the reason."""

    files: dict[str, Tally] = field(default_factory=dict)
    folders: dict[str, Tally] = field(default_factory=dict)
    unspoken: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[UnknownCode] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> Tally:
        total = Tally()
        for tally in self.files.values():
            total.spoken, total.leaves, total.documents = (
                total.spoken + tally.spoken,
                total.leaves + tally.leaves,
                total.documents + tally.documents,
            )
        return total

    def add(self, file: Path, found: coverage.Explained) -> None:
        for tallies, name in ((self.files, str(file)), (self.folders, str(file.parent))):
            tallies.setdefault(name, Tally()).add(found.spoken, len(found.leaves))
        self.unspoken.update((leaf.kind_of_place, leaf.reason) for leaf in found.leaves if not leaf.spoken)
        self.unknown.update(found.unknown)

    def data(self) -> dict[str, Any]:
        return {
            "whole": self.whole.data(),
            "folders": {name: tally.data() for name, tally in self.folders.items()},
            "documents": {name: tally.data() for name, tally in self.files.items()},
            "unspoken": [{"path": path, "reason": reason, "count": count} for (path, reason), count in self.unspoken.most_common()],
            "unknown_codes": coverage.codes_data(self.unknown),
            "unread": [{"file": file, "reason": reason} for file, reason in self.unread.items()],
        }


def of_folder(site: Site, folder: Path) -> Survey:
    """The survey of every `*.json` and `*.ndjson` below `folder`, in the order of their names."""
    survey = Survey()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".ndjson") and path.is_file()):
        try:
            for document in _documents(file):
                survey.add(file.relative_to(folder), coverage.of_document(site, document))
        except Refused as refused:
            survey.unread[str(file.relative_to(folder))] = str(refused.faults[0])
    return survey


def _documents(file: Path) -> Iterator[Any]:
    if file.suffix == ".json":
        yield documents.loads(file.read_bytes(), max_bytes=file.stat().st_size)
        return
    with file.open("rb") as opened:
        yield from (line.document() for line in lines.read(opened))
