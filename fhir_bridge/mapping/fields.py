"""Fields that a site adds by a table alone: a row with bounds declares a vital sign that readings may hold.

A row of any table of rows that has the columns `low` and `high` (the bounds of life, whole numbers in the unit of `ucum`) is such
a declaration; `field` is its name in a reading, `about` says to people what it is (without it, `display`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_bridge.errors import Refused
from fhir_bridge.mapping import source
from fhir_bridge.mapping.source import Faults, Located

COLUMNS = ("field", "ucum", "low", "high")


@dataclass(frozen=True, slots=True)
class Declared:
    """One further field of a reading, as its row says it."""

    field: str
    ucum: str
    low: int
    high: int
    about: str


def declared(folders: Sequence[Path]) -> list[Declared]:
    """The fields that the tables of `folders` declare; raises `Refused` with every row that is not whole, by file and line."""
    faults = Faults()
    found = [one for row in _rows(folders) if (one := _declared(row, faults))]
    if faults.found:
        raise Refused(faults.found)
    return found


def _rows(folders: Sequence[Path]) -> list[Located]:
    """Every row that has bounds. What is wrong with the files themselves is the mapping's to say, when it is loaded."""
    ignored = Faults()
    nodes = [source.load(path, ignored) for path in source.found_in(tuple(folders), "codes")]
    tables = [node.value["rows"] for node in nodes if node and isinstance(node.value, dict) and "rows" in node.value]
    rows = [row for table in tables for row in table.items(ignored)]
    return [row for row in rows if isinstance(row.value, dict) and row.value.keys() & {"low", "high"}]


def _declared(row: Located, faults: Faults) -> Declared | None:
    parts = {name: value.text(faults) for name, value in row.map(faults).items()}
    missing = [name for name in COLUMNS if not parts.get(name)]
    odd = [name for name in ("low", "high") if name in parts and not parts[name].removeprefix("-").isdecimal()]
    for name in missing:
        faults.add(row, f"declares a field of readings and has no {name}; it needs {', '.join(COLUMNS)}")
    for name in odd:
        faults.add(row, f"{name} must be a whole number in the unit of the row")
    if missing or odd:
        return None
    about = parts.get("about") or parts.get("display") or parts["field"]
    return Declared(parts["field"], parts["ucum"], int(parts["low"]), int(parts["high"]), about)
