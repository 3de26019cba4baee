"""Kept or not: what we sent against what the hospital holds, leaf by leaf, by meaning. Paths come out, never values."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_bridge import documents

_SERVERS_OWN = frozenset({"id", "meta", "text", "implicitRules"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paths (`Observation.valueQuantity.value`), each once: `kept`, `changed`, `dropped` of ours; `added` by the server."""

    kept: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether everything we sent is there as we sent it."""
        return not (self.changed or self.dropped)


def compare(sent: dict[str, Any], held: dict[str, Any]) -> Comparison:
    """`sent` (references already the hospital's) against `held`. Times compare as instants, numbers as decimals; list order is free.

    `id`, `meta` and the narrative are the server's and are left out.
    """
    found = _Leaves()
    _walk(_spoken(sent), _spoken(held), str(sent.get("resourceType", "")), found)
    return Comparison(*(tuple(dict.fromkeys(each)) for each in (found.kept, found.changed, found.dropped, found.added)))


def untouched(sent: dict[str, Any], held: dict[str, Any]) -> bool:
    """Whether `compare` would find nothing but `kept`, because both are spelt alike: nearly always, and found in no time."""
    return documents.canonical(_spoken(sent)) == documents.canonical(_spoken(held))


def _spoken(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _SERVERS_OWN}


class _Leaves:
    def __init__(self) -> None:
        self.kept: list[str] = []
        self.changed: list[str] = []
        self.dropped: list[str] = []
        self.added: list[str] = []


def _walk(ours: Any, theirs: Any, path: str, found: _Leaves) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in dict.fromkeys((*ours, *theirs)):
            here = f"{path}.{name}"
            if name not in theirs:
                found.dropped += _paths(ours[name], here)
            elif name not in ours:
                found.added += _paths(theirs[name], here)
            else:
                _walk(ours[name], theirs[name], here, found)
    elif isinstance(ours, list) and isinstance(theirs, list):
        _walk_lists(ours, theirs, path, found)
    elif same(ours, theirs, path):
        found.kept += _paths(ours, path)
    else:
        found.changed += _paths(ours, path)


def _walk_lists(ours: list[Any], theirs: list[Any], path: str, found: _Leaves) -> None:
    """Each of ours beside the one of theirs most like it; what is left over was dropped or added."""
    rest = list(theirs)
    for item in ours:
        best = max(rest, key=lambda other: _likeness(item, other), default=None)
        if best is None or (_likeness(item, best) == 0 and len(ours) != len(theirs)):
            found.dropped += _paths(item, path)
            continue
        rest.remove(best)
        _walk(item, best, path, found)
    for item in rest:
        found.added += _paths(item, path)


def _likeness(ours: Any, theirs: Any) -> int:
    """How many leaves of `ours` `theirs` holds."""
    found = _Leaves()
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return sum(_likeness(value, theirs[name]) for name, value in ours.items() if name in theirs)
    if isinstance(ours, list) and isinstance(theirs, list):
        _walk_lists(ours, theirs, "", found)
        return len(found.kept)
    return int(same(ours, theirs, ""))


def _paths(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        return [inner for name, each in value.items() for inner in _paths(each, f"{path}.{name}")]
    if isinstance(value, list):
        return [inner for each in value for inner in _paths(each, path)]
    return [path]


def same(ours: Any, theirs: Any, path: str = "") -> bool:
    """Whether two leaves mean the same: 36.80 and 36.8, 09:00-05:00 and 14:00Z, a reference with and without its version."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float | Decimal) and isinstance(theirs, int | float | Decimal):
        return Decimal(str(ours)) == Decimal(str(theirs))
    if not (isinstance(ours, str) and isinstance(theirs, str)):
        return bool(ours == theirs)
    if path.endswith(".reference"):
        return _unversioned(ours) == _unversioned(theirs) or _unversioned(theirs).endswith("/" + _unversioned(ours))
    return ours == theirs or (_instant(ours) is not None and _instant(ours) == _instant(theirs))


def _unversioned(reference: str) -> str:
    return reference.split("/_history/")[0]


def _instant(text: str) -> float | None:
    if len(text) < len("2026-01-01T00:00Z") or text[10:11] != "T":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
