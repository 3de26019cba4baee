"""A session on one page: who and how it went, the timeline, and beside it what was given, what happened and what follows."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import LETTER
from reportlab.pdfgen.canvas import Canvas

from fhir_bridge.clinic.summary import chart
from fhir_bridge.clinic.summary.columns import Block, block, fitted, moved
from fhir_bridge.clinic.summary.letters import BOLD, wrapped
from fhir_bridge.clinic.summary.paper import Paper
from fhir_bridge.clinic.summary.sections import Section, patient, sections, status, when
from fhir_bridge.clinic.summary.wording import Names, clock_of, plain

TITLE = "Infusion session summary"
_MARGIN, _GAP, _SIZE, _LEADING = 40.0, 18.0, 7.6, 9.4
_LEFT = ("Given", "Vital signs")
_HEAD = ("Correction", "Why")
_PAINTED = ("Pain and nausea",)  # the timeline has every value of it


def summary_pdf(record: Mapping[str, Any], *, names: Names = plain) -> bytes:
    """`record` (a session in normal form) on one Letter page, whose sides A4 has room for too.

    Equal records give equal bytes. The document's metadata says nothing of the patient.
    """
    out = BytesIO()
    canvas = Canvas(out, pagesize=LETTER, invariant=1, pageCompression=1)
    canvas.setTitle(TITLE)
    canvas.setSubject(TITLE)
    canvas.setAuthor("fhir_bridge")
    canvas.setCreator("fhir_bridge")
    paper = Paper(canvas)
    _draw(paper, record, names)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _draw(paper: Paper, record: Mapping[str, Any], names: Names) -> None:
    width, top = LETTER[0] - 2 * _MARGIN, LETTER[1] - _MARGIN
    found = sections(record, names)
    y = _head(paper, record, [each for each in found if each.title in _HEAD], top)
    if record["status"] != "entered-in-error":
        y = chart.draw(paper, record, names, left=_MARGIN, right=_MARGIN + width, top=y - 6)
    _columns(paper, [each for each in found if each.title not in (*_HEAD, *_PAINTED)], y - 12, (width - _GAP) / 2)
    _foot(paper, record)


def _head(paper: Paper, record: Mapping[str, Any], why: list[Section], y: float) -> float:
    """The title, how it went in a band, who, when and why; returns where it ends."""
    width = LETTER[0] - 2 * _MARGIN
    y -= 11
    paper.text(_MARGIN, y, f"{TITLE}  {record['id']}", 13, font=BOLD)
    paper.text(_MARGIN + width, y, when(record, clock_of(record)), 8.5, align="right")
    lines = wrapped(status(record), width - 12, BOLD, 9.5)
    y -= 8 + 13 * len(lines)
    paper.band(_MARGIN, y, width, 13 * len(lines), dark=record["status"] != "completed")
    for index, line in enumerate(lines):
        at = y + 13 * (len(lines) - index) - 9.5
        paper.text(_MARGIN + 6, at, line, 9.5, font=BOLD, white=record["status"] != "completed")
    y -= 3
    said = [*wrapped(patient(record), width, BOLD, 8.5)[:2], *(row for each in why for row in _short(each, width))]
    for index, line in enumerate(said):
        y -= 10
        paper.text(_MARGIN, y, line, 8.5 if index == 0 else 7.8, font=BOLD if index == 0 else "Helvetica")
    return y


def _short(section: Section, width: float) -> list[str]:
    rows = [row for line in section.lines for row in wrapped(line, width, "Helvetica", 7.8)]
    return rows if len(rows) <= 4 else [*rows[:3], "… more in the text"]


def _columns(paper: Paper, found: list[Section], top: float, width: float) -> None:
    """What was given on the left, what happened and follows on the right; what the right has no room for goes under the left."""
    left = [each for each in found if each.title in _LEFT]
    right = [each for each in found if each.title not in _LEFT]
    if not left:
        left, right = right, []
    room = int((top - _MARGIN) / _LEADING)
    below = moved([_length(each, width) for each in left], [_length(each, width) for each in right], room)
    if below:
        left, right = [*left, *right[-below:]], right[:-below]
    _column(paper, left, _MARGIN, top, width, room)
    _column(paper, right, _MARGIN + width + _GAP, top, width, room)


def _length(section: Section, width: float) -> int:
    return len(section.table) + _block(section, width).length


def _block(section: Section, width: float) -> Block:
    return block(section.title, section.lines, width, _SIZE)


def _column(paper: Paper, found: list[Section], x: float, y: float, width: float, room: int) -> None:
    said = fitted([_block(each, width) for each in found], room - sum(len(each.table) for each in found))
    for section, (title, lines) in zip(found, said, strict=False):
        paper.text(x, y, title, 8, font=BOLD)
        paper.line(x, y - 2, x + width, y - 2, thin=True)
        y = _table(paper, section.table, x, y - _LEADING - 1.5, width)
        for line in lines:
            paper.text(x + (6 if line.startswith("  ") else 0), y, line.strip(), _SIZE)
            y -= _LEADING
        y -= _LEADING * 0.7


def _table(paper: Paper, rows: tuple[tuple[str, ...], ...], x: float, y: float, width: float) -> float:
    places = (0.0, 0.34, 0.46, 0.66, 0.87, 1.0)
    for row in rows:
        for cell, place in zip(row, places, strict=True):
            paper.text(x + place * width, y, cell, 7, align="right" if place == 1.0 else "left")
        y -= _LEADING
    return y


def _foot(paper: Paper, record: Mapping[str, Any]) -> None:
    version = f", version {record['version']}" if record.get("version", 1) > 1 else ""
    paper.text(_MARGIN, _MARGIN - 10, f"Session {record['id']}{version}. Everything recorded is in the text version of this summary.", 6.6)
    if paper.lossy:
        note = "Letters this page has no shapes for are drawn plainer or as ?; the text version has them."
        paper.text(_MARGIN, _MARGIN - 19, note, 6.6, font=BOLD)
