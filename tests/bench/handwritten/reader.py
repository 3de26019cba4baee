"""What every hand-written reader needs: the record in the making, and small checks that refuse what is not ours."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .names import UCUM, Record, Resource
from .tables import ABSENCE

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_META = frozenset({"versionId", "lastUpdated", "source"})


class Stranger(Exception):
    """A resource is not as this clinic writes it."""


@dataclass(slots=True)
class Session:
    """One session being read: what every resource has to refer to, and the record so far."""

    id: str
    subject: Record
    encounter: Record
    indication: Record | None
    procedure: Record | None
    record: Record
    readings: dict[str, Record] = field(default_factory=dict)
    symptoms: dict[str, Record] = field(default_factory=dict)
    drugs: dict[str, Record] = field(default_factory=dict)
    reactions: dict[str, Record] = field(default_factory=dict)
    plan: dict[str, Record] = field(default_factory=dict)
    planned: list[tuple[str, Record]] = field(default_factory=list)  # days and references of the care plan


def expect(holds: bool) -> None:
    if not holds:
        raise Stranger


def known(one: Resource, keys: frozenset[str]) -> None:
    """Nothing but `keys` and what a server keeps for itself."""
    if not one.keys() <= keys:
        rest = one.keys() - keys
        expect(rest == {"meta"} and one["meta"].keys() <= _META)


def keys(names: str) -> frozenset[str]:
    return frozenset(["resourceType", "id", *names.split()])


def inverse(table: dict[str, Any]) -> dict[str, str]:
    """From the code that tells a word, which stands last, to the word."""
    return {written if isinstance(written, str) else written["coding"][-1]["code"]: word for word, written in table.items()}


def word(concept: Record, table: dict[str, Any], words: dict[str, str]) -> str:
    found = words[concept["coding"][-1]["code"]]
    expect(concept == table[found])
    return found


def text(value: Any) -> str:
    expect(isinstance(value, str) and value != "")
    return value  # type: ignore[no-any-return]


def time(value: Any) -> str:
    expect(isinstance(value, str) and _TIME.fullmatch(value) is not None)
    datetime.fromisoformat(value)
    return value  # type: ignore[no-any-return]


def date(value: Any) -> str:
    expect(isinstance(value, str) and _DATE.fullmatch(value) is not None)
    return value  # type: ignore[no-any-return]


def number(value: Any) -> int | Decimal:
    expect(isinstance(value, int | Decimal) and not isinstance(value, bool))
    return value  # type: ignore[no-any-return]


def quantity(value: Record, unit: str, code: str) -> int | Decimal:
    expect(len(value) == 4 and value["unit"] == unit and value["system"] == UCUM and value["code"] == code)
    return number(value["value"])


def amount(value: Record) -> Record:
    expect(len(value) == 3 and value["system"] == UCUM)
    return {"value": number(value["value"]), "unit": text(value["code"])}


def measured(one: Resource, unit: str, code: str) -> Any:
    """A value, or the reason why there is none; not both."""
    if "valueQuantity" in one:
        expect("dataAbsentReason" not in one)
        return quantity(one["valueQuantity"], unit, code)
    return {"absent": word(one["dataAbsentReason"], ABSENCE, ABSENT_WORDS)}


ABSENT_WORDS = inverse(ABSENCE)


def period(value: Record) -> Record:
    found = {}
    if "start" in value:
        found["started_at"] = time(value["start"])
    if "end" in value:
        found["ended_at"] = time(value["end"])
    expect(0 < len(found) == len(value))
    return found


def extensions(one: Resource, base: str) -> dict[str, Any]:
    """The values of the extensions by the last part of their address; each once, each with one value."""
    found = {}
    for extension in one.get("extension", ()):
        at, _, name = extension["url"].rpartition("/")
        ((kind, value),) = ((key, value) for key, value in extension.items() if key != "url")
        expect(at == base and (name, kind) not in found)
        found[name, kind] = value
    return found


def agree(record: Record, name: str, value: Any) -> None:
    """Several resources say `name`; they have to say the same."""
    expect(record.setdefault(name, value) == value)
