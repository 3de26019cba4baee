"""Two columns that must agree: what clients were told is accepted, and what the hospital holds. Our own tables are not asked.

A record is *held* when the hospital has every part of it and speaks of its newest version. It is *lost* when it is neither held
nor shown to a person as stopped. A resource is *duplicated* when the hospital has two with the same identifiers of ours, or, of
those it keeps no identifiers of, two that say the same. A record is *swapped* when an older version was written after a newer one.
"""

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.sandbox.store import Version

Document = dict[str, Any]
_MARK = re.compile(r"Rehearsed (\S+) version (\d+)")
_TIME = "effectiveDateTime"


@dataclass(frozen=True, slots=True)
class Told:
    """A client was answered 2xx: the record's id and version, its patient, and the times of its readings (no other record has them)."""

    id: str
    version: int
    patient: str
    moments: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The balance. `stopped` are the records shown to a person, with the reason; the other lists hold what is wrong, in words."""

    accepted: int
    held: int
    stopped: Mapping[str, str]
    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    swapped: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Nothing lost, nothing twice, nothing in the wrong order."""
        return not (self.lost or self.duplicated or self.swapped)


def balance(told: Iterable[Told], log: Sequence[Version], *, parts: Mapping[str, int], stopped: Mapping[str, str]) -> Ledger:
    """Compare what clients were `told` with the hospital's `log` of every version, oldest first.

    `parts`: how many resources of each type make one record of one reading at this hospital; its Observations are a reading's.
    """
    newest = {each.id: each for each in sorted(told, key=lambda each: each.version)}
    current = [version.document for version in {version.path: version for version in log}.values() if version.document]
    missing = {id_: _missing(each, current, parts) for id_, each in newest.items()}
    lost = tuple(f"{id_}: {what}" for id_, what in missing.items() if what and id_ not in stopped)
    return Ledger(
        accepted=len(newest),
        held=sum(not what for what in missing.values()),
        stopped={id_: reason for id_, reason in stopped.items() if missing.get(id_)},
        lost=lost,
        duplicated=tuple(_duplicates(current)),
        swapped=tuple(_swaps(log)),
    )


def out_of_order(told: Sequence[Told], log: Sequence[Version]) -> list[str]:
    """Patients whose sessions reached the hospital in another order than they were accepted in."""
    arrived: dict[str, int] = {}
    for place, version in enumerate(log):
        for id_, _ in marks(version.document):
            arrived.setdefault(id_, place)
    by_patient: dict[str, list[int]] = defaultdict(list)
    for each in told:
        by_patient[each.patient].append(arrived.get(each.id, -1))
    return [patient for patient, places in by_patient.items() if places != sorted(places)]


def marks(document: Document | None) -> set[tuple[str, int]]:
    """(record id, version) of every record the document says it is of, in a text or in an attachment."""
    return {(id_, int(version)) for text in _texts(document) for id_, version in _MARK.findall(text)}


def _missing(told: Told, current: list[Document], parts: Mapping[str, int]) -> str:
    if not parts:
        return "this hospital takes nothing of it"
    here = [document for document in current if _belongs(document, told)]
    found = Counter(document["resourceType"] for document in here)
    wanted = {kind: count * (len(told.moments) if kind == "Observation" else 1) for kind, count in parts.items()}
    short = [f"{found[kind]} of {count} {kind}" for kind, count in wanted.items() if found[kind] < count]
    said = max((version for document in here for id_, version in marks(document) if id_ == told.id), default=0)
    return "; ".join(short) or ("" if said == told.version else f"version {said}, not {told.version}")


def _belongs(document: Document, told: Told) -> bool:
    names = {value.partition("/")[0] for _, value in _identifiers(document)}
    if names:
        return told.id in names
    if document["resourceType"] == "Observation":
        return datetime.fromisoformat(document[_TIME]) in told.moments
    # an Encounter whose identifiers the hospital dropped: known by when it began
    started: str = document.get("period", {}).get("start", "")
    return started == told.moments[0].isoformat()


def _duplicates(current: list[Document]) -> Iterator[str]:
    seen = Counter(_identity(document) for document in current)
    return (f"{count} × {identity[0]} {identity[1][:80]}" for identity, count in seen.items() if count > 1)


def _identity(document: Document) -> tuple[str, str]:
    if names := _identifiers(document):
        return document["resourceType"], " ".join(sorted("|".join(name) for name in names))
    content = {name: value for name, value in document.items() if name not in ("id", "meta")}
    return document["resourceType"], documents.canonical(content).decode()


def _swaps(log: Sequence[Version]) -> Iterator[str]:
    newest: dict[str, int] = {}
    for version in log:
        for id_, number in marks(version.document):
            if number < newest.get(id_, 0):
                yield f"{id_}: version {number} after {newest[id_]}"
            newest[id_] = max(number, newest.get(id_, 0))


def _identifiers(document: Document) -> list[tuple[str, str]]:
    found = document.get("identifier", [])
    return [(str(each.get("system")), str(each.get("value"))) for each in (found if isinstance(found, list) else [found])]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(data := value.get("data"), str):
            yield base64.b64decode(data).decode(errors="replace")
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
