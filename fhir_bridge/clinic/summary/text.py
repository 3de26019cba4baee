"""A session as plain text, 78 characters wide: how it stands first, then who, when, and the sections."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from fhir_bridge.clinic.summary.sections import Section, patient, sections, status, when
from fhir_bridge.clinic.summary.wording import Names, clock_of, plain

_WIDTH = 78


def summary_text(record: Mapping[str, Any], *, names: Names = plain) -> str:
    """The whole of `record` (a session in normal form) for a reader; `names` gives drugs, fluids and conditions their names."""
    head = [
        *_wrapped(f"INFUSION SESSION {record['id']}: {status(record)}", "", ""),
        *_wrapped(when(record, clock_of(record)), "", ""),
        "",
        *_wrapped(patient(record), "", "  "),
    ]
    body = [line for section in sections(record, names) for line in ("", section.title.upper(), *_section(section))]
    return "\n".join([*head, *body]) + "\n"


def _section(section: Section) -> list[str]:
    hanging = "  " if section.title == "Outcome" else "    "
    return [*_table(section.table), *(row for line in section.lines for row in _wrapped(line, "  ", hanging))]


def _table(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _wrapped(text: str, first: str, later: str) -> list[str]:
    rows = [row for line in text.splitlines() for row in wrap(line, _WIDTH - len(first), break_on_hyphens=False) or [""]]
    return [f"{first if index == 0 else later}{row}" for index, row in enumerate(rows)]
