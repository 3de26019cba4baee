"""The timeline: bars for what was given, signs for what happened, lines for how vital signs and pain moved, on one axis of time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_bridge.clinic.summary.letters import BOLD, PLAIN, fit, width
from fhir_bridge.clinic.summary.paper import Paper
from fhir_bridge.clinic.summary.timeline import Lane, Piece, Span, lanes, reactions, span
from fhir_bridge.clinic.summary.vitals import Course, courses
from fhir_bridge.clinic.summary.wording import Clock, Names, clock_of

_GUTTER = 106.0
_LANE, _MOST_GIVEN, _MOST_REACTIONS = 11.5, 10, 4
_VITALS, _PAIN = 134.0, 58.0
_SMALL = 6.6


@dataclass(frozen=True, slots=True)
class Line:
    """How one course is drawn."""

    field: str
    label: str
    shape: str
    style: str
    full: bool = True


_PRESSURES = (
    Line("systolic", "Systolic mmHg", "down", "solid"),
    Line("diastolic", "Diastolic mmHg", "up", "solid"),
    Line("heart_rate", "Heart rate /min", "circle", "dashed", full=False),
)
_SCORES = (Line("pain", "Pain 0-10", "square", "solid"), Line("nausea", "Nausea 0-10", "circle", "dotted", full=False))


@dataclass(frozen=True, slots=True)
class Axis:
    """Time across the page: `at` is the place of a moment."""

    span: Span
    left: float
    right: float

    def at(self, moment: datetime) -> float:
        return self.left + self.span.share(moment) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class Panel:
    """A box with values from `low` to `high` up its side."""

    axis: Axis
    bottom: float
    top: float
    low: int
    high: int

    def point(self, moment: datetime, value: Decimal | int) -> tuple[float, float]:
        return self.axis.at(moment), self.y(value)

    def y(self, value: Decimal | int) -> float:
        return self.bottom + (float(value) - self.low) / (self.high - self.low) * (self.top - self.bottom)


def draw(paper: Paper, record: Mapping[str, Any], names: Names, *, left: float, right: float, top: float) -> float:
    """The timeline from `top` down; returns where it ends, which is `top` when there is nothing to draw."""
    clock = clock_of(record)
    given, happened = lanes(record, clock, names), reactions(record, clock)
    vitals, scores = _of(_PRESSURES, record.get("readings", [])), _of(_SCORES, record.get("symptoms", []))
    shown = span(record, clock)
    if shown is None or not (given or happened or vitals or scores):
        return top
    axis = Axis(shown, left + _GUTTER, right - 4)
    rows = min(len(given), _MOST_GIVEN + 1) + min(len(happened), _MOST_REACTIONS + 1)
    y = top - 10
    end = y - rows * _LANE - (8 + _VITALS if vitals else 0) - (10 + _PAIN if scores else 0) - 4
    _ticks(paper, axis, y, end)
    y = _lanes(paper, axis, given, left=left, top=y, most=_MOST_GIVEN)
    y = _lanes(paper, axis, happened, left=left, top=y, most=_MOST_REACTIONS)
    if vitals:
        panel = Panel(axis, y - 8 - _VITALS, y - 8, *_range(vitals))
        _flags(paper, panel, happened)
        _panel(paper, panel, vitals, clock, lines=_PRESSURES, left=left)
        y = panel.bottom
    if scores:
        panel = Panel(axis, y - 10 - _PAIN, y - 10, 0, 10)
        _panel(paper, panel, scores, clock, lines=_SCORES, left=left)
        _values(paper, panel, scores, clock)
    return end - 8


def _of(lines: Sequence[Line], rows: Sequence[Mapping[str, Any]]) -> dict[str, Course]:
    wanted = {line.field for line in lines}
    return {course.field: course for course in courses(rows) if course.field in wanted}


def _ticks(paper: Paper, axis: Axis, top: float, bottom: float) -> None:
    for tick in axis.span.ticks():
        x = axis.at(tick)
        paper.line(x, top, x, bottom, thin=True, grey=0.82)
        said = f"{tick:%H:%M}" if axis.span.minutes < 1440 else f"{tick:%m-%d}"
        paper.text(x, top + 3, said, _SMALL, align="center")
        paper.text(x, bottom - 7, said, _SMALL, align="center")


def _lanes(paper: Paper, axis: Axis, found: Sequence[Lane], *, left: float, top: float, most: int) -> float:
    for lane in found[:most]:
        top -= _LANE
        name = f"{lane.letter}  {lane.name}" if lane.letter else lane.name
        paper.text(left, top + 3, fit(name, _GUTTER - 6, BOLD if lane.letter else PLAIN, 7.2), 7.2, font=BOLD if lane.letter else PLAIN)
        _lane(paper, axis, lane, top + _LANE / 2)
    if len(found) > most:
        top -= _LANE
        paper.text(left, top + 3, f"… and {len(found) - most} more, see text", 7.2)
    return top


def _lane(paper: Paper, axis: Axis, lane: Lane, y: float) -> None:
    starts = [axis.at(piece.start) for piece in lane.pieces]
    free = axis.left
    for piece, x, following in zip(lane.pieces, starts, [*starts[1:], axis.right + 4], strict=True):
        end = _shape(paper, axis, lane, piece, y)
        room = end - x if lane.kind in ("drug", "fluid") and not lane.stopped else 0
        free = _label(paper, piece.labels, y, x=x, end=end, room=room, free=free, following=following)
    if lane.stopped:
        last = lane.pieces[-1]
        paper.mark("cross", axis.at(last.end or last.start), y, size=4)


def _shape(paper: Paper, axis: Axis, lane: Lane, piece: Piece, y: float) -> float:
    """The bar or line of one piece; returns where it ends, its sign included."""
    x = axis.at(piece.start)
    end = axis.right if piece.open else axis.at(piece.end) if piece.end else x
    if lane.kind == "reaction":
        paper.line(x, y, end, y)
        paper.mark("diamond", x, y, size=2.6)
        if piece.end:
            paper.line(end, y - 2.5, end, y + 2.5)
    elif lane.kind != "none":
        end = max(end, x + 2.5)
        paper.bar(x, y - 4, end - x, 8, grey=0.93 if lane.kind == "fluid" else 0.8)
    if piece.open or (piece.end and not axis.span.holds(piece.end)):
        paper.mark("right", end, y, size=3)
    return end + (5 if lane.stopped else 3.5 if lane.kind == "reaction" else 1)


def _label(paper: Paper, labels: Sequence[str], y: float, *, x: float, end: float, room: float, free: float, following: float) -> float:
    """Writes the longest label there is room for in the bar, behind it or before it; returns how far the lane is taken."""
    for label in labels:
        needed = width(label, PLAIN, _SMALL) + 3
        if needed + 2 <= room:
            paper.text(x + 2, y - 2.3, label, _SMALL)
            return end
        if needed <= following - end:
            paper.text(end + 1.5, y - 2.3, label, _SMALL)
            return end + needed
        if needed + 3 <= x - free:
            paper.text(x - 4.5, y - 2.3, label, _SMALL, align="right")
            return end
    return end


def _range(vitals: Mapping[str, Course]) -> tuple[int, int]:
    """A range in whole twenties around all the values; the usual one where there are none."""
    values = [float(point.value) for course in vitals.values() for point in course.known if point.value is not None]
    if not values:
        return 60, 140
    low, high = int((min(values) - 4) // 20 * 20), int(-(-(max(values) + 4) // 20) * 20)
    return max(0, low), max(high, low + 60)


def _panel(paper: Paper, panel: Panel, found: Mapping[str, Course], clock: Clock, *, lines: Sequence[Line], left: float) -> None:
    step = 5 if panel.high <= 10 else 20 if panel.high - panel.low <= 140 else 40
    for value in range(panel.low, panel.high + 1, step):
        paper.line(panel.axis.left, panel.y(value), panel.axis.right, panel.y(value), thin=True, grey=0.6)
        paper.text(panel.axis.left - 4, panel.y(value) - 2.3, str(value), _SMALL, align="right")
    for index, line in enumerate(line for line in lines if line.field in found):
        y = panel.top - 8 - index * 10
        paper.path([(left, y), (left + 14, y)], style=line.style)
        paper.mark(line.shape, left + 7, y, full=line.full)
        paper.text(left + 18, y - 2.3, line.label, _SMALL)
        _curve(paper, panel, found[line.field], clock, line)
    if any(point.absent for course in found.values() for point in course.points):
        paper.mark("cross", left + 7, panel.bottom + 4)
        paper.text(left + 18, panel.bottom + 1.7, "not measured", _SMALL)


def _curve(paper: Paper, panel: Panel, course: Course, clock: Clock, line: Line) -> None:
    """The line, broken where nothing was measured, which a cross at the bottom says."""
    stretch: list[tuple[float, float]] = []
    for point in course.points:
        moment = clock.moment(point.at)
        if not panel.axis.span.holds(moment):
            continue
        if point.value is None:
            paper.mark("cross", panel.axis.at(moment), panel.bottom + 4)
            _stretch(paper, stretch, line)
            stretch = []
        else:
            stretch.append(panel.point(moment, point.value))
    _stretch(paper, stretch, line)


def _stretch(paper: Paper, points: list[tuple[float, float]], line: Line) -> None:
    if len(points) > 1:
        paper.path(points, style=line.style)
    for x, y in points:
        paper.mark(line.shape, x, y, full=line.full)


def _values(paper: Paper, panel: Panel, found: Mapping[str, Course], clock: Clock) -> None:
    """The score at each pain point, where there is room."""
    last = 0.0
    for point in found["pain"].known if "pain" in found else ():
        x, y = panel.point(clock.moment(point.at), point.value or 0)
        if x - last >= 12:
            paper.text(x + 3, y + 3 if y < panel.top - 6 else y - 8, str(point.value), 7.2, font=BOLD)
            last = x


def _flags(paper: Paper, panel: Panel, happened: Sequence[Lane]) -> None:
    """A line through the vital signs where something happened, with its letter."""
    last = 0.0
    for lane in happened[:_MOST_REACTIONS]:
        x = panel.axis.at(lane.pieces[0].start)
        paper.line(x, panel.bottom, x, panel.top, style="dotted", thin=True)
        if x - last >= 8:
            paper.text(x, panel.top + 1.5, lane.letter, _SMALL, font=BOLD, align="center")
            last = x
