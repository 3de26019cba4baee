"""Is what a hospital shows newer than what is known of it? Pure.

A version is told by its id; ids that count are put in order, others only by `meta.lastUpdated`. Where the two disagree, or where a
version that was known looks different now, nobody may guess: the hospital is asked once more, and if it then still shows what is
older than what it has shown before, it was restored from a backup.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256

from fhir_bridge import documents
from fhir_bridge.hospital.pages import moment
from fhir_bridge.hospital.seen import Seen
from fhir_bridge.store.pulls import Known

_TOLERANCE = timedelta(seconds=1)  # one server may tell a time with and without its fraction


class Standing(Enum):
    """How one resource as shown stands to what is known of it."""

    NEW = "new"
    SAME = "same"
    OLDER = "older"
    DOUBT = "doubt"


def standing(seen: Seen, known: Sequence[Known], *, current: bool) -> Standing:
    """`current`: the hospital shows the state of now (a search, a read), not one of several states (a history).

    `known` may hold several links of one resource, and what a pull saw last. Who knows neither number nor time has no opinion.
    """
    version, updated = mark(seen), moment(seen.last_updated)
    found = [_against(version, updated, one, gone=seen.resource is None) for one in known]
    for word in (Standing.DOUBT, Standing.OLDER, Standing.SAME, Standing.NEW):
        if word in found:
            return Standing.DOUBT if word is Standing.OLDER and current else word
    return Standing.NEW if current else Standing.DOUBT


def mark(seen: Seen) -> str:
    """The version, or, where the hospital names none, a digest of what it shows (`sha256:…`); empty for a deletion without one."""
    if seen.version or seen.resource is None:
        return seen.version
    body = {name: value for name, value in seen.resource.items() if name != "meta"}
    return f"sha256:{sha256(documents.canonical(body)).hexdigest()}"


def _against(version: str, updated: datetime | None, known: Known, *, gone: bool) -> Standing | None:
    if known.gone and gone and not (version and known.version):
        return Standing.SAME
    if not known.version and known.last_updated is None:
        return Standing.NEW
    if version and version == known.version:
        return Standing.DOUBT if _differ(updated, known.last_updated) else Standing.SAME
    signs = {_sign(version, known.version), _time_sign(updated, known.last_updated)} - {0}
    if not signs:
        return None
    return Standing.DOUBT if len(signs) == 2 else Standing.NEW if signs == {1} else Standing.OLDER


def _sign(version: str, known: str) -> int:
    if not (version.isdecimal() and known.isdecimal()):
        return 0
    return (int(version) > int(known)) - (int(version) < int(known))


def _time_sign(updated: datetime | None, known: datetime | None) -> int:
    return (updated > known) - (updated < known) if updated and known else 0


def _differ(updated: datetime | None, known: datetime | None) -> bool:
    return bool(updated and known and abs(updated - known) >= _TOLERANCE)
