"""How vital signs and symptoms moved, as values: what the text writes as a table and the page draws as lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_bridge.clinic.summary.wording import ABSENT, Clock, number, words

_LABELS = {
    "systolic": ("Systolic", "mmHg"),
    "diastolic": ("Diastolic", "mmHg"),
    "mean_pressure": ("Mean pressure", "mmHg"),
    "heart_rate": ("Heart rate", "/min"),
    "respiratory_rate": ("Breaths", "/min"),
    "oxygen_saturation": ("Oxygen saturation", "%"),
    "temperature": ("Temperature", "°C"),
    "weight": ("Weight", "kg"),
    "height": ("Height", "cm"),
    "pain": ("Pain", "0-10"),
    "nausea": ("Nausea", "0-10"),
}
_NO_VALUES = ("taken_at", "state", "phase", "blood_pressure")
_PLACES = {name: place for place, name in enumerate(_LABELS)}


class Point(NamedTuple):
    """One value, or the reason why there is none, with the time it was taken as the record has it."""

    at: str
    value: Decimal | int | None
    absent: str = ""
    phase: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """All points of one field, in time."""

    field: str
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        return _LABELS.get(self.field, (words(self.field).capitalize(), ""))[0]

    @property
    def unit(self) -> str:
        return _LABELS.get(self.field, ("", ""))[1]

    @property
    def known(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.value is not None)

    def row(self, clock: Clock) -> tuple[str, ...]:
        """Label and unit, first, lowest, highest, last, how many; low and high with their times, and only where values differ."""
        known = self.known
        name = f"{self.label} {self.unit}".strip()
        if not known:
            return (name, "-", "", "", "-", "0")
        low, high = min(known, key=_value), max(known, key=_value)
        ends = [f"{_shown(point)} ({clock.time(point.at)})" if low.value != high.value else "" for point in (low, high)]
        return (name, _shown(known[0]), *ends, _shown(known[-1]) if len(known) > 1 else "", str(len(known)))


def courses(rows: Sequence[Mapping[str, Any]]) -> list[Course]:
    """The courses in readings or symptoms, ours in their usual order, a site's own after them; without what was entered in error."""
    found: dict[str, list[Point]] = {}
    for row in rows:
        if row.get("state") != "entered-in-error":
            for field, value in _values(row):
                found.setdefault(field, []).append(_point(row, value))
    return [Course(field, tuple(found[field])) for field in sorted(found, key=lambda field: (_PLACES.get(field, len(_PLACES)), field))]


def absences(found: Sequence[Course], clock: Clock) -> list[str]:
    """What was not measured and why, by reason: "Device fault: heart rate 10:15; weight 09:00"."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for course in found:
        for point in course.points:
            if point.absent:
                reasons.setdefault(point.absent, {}).setdefault(course.label.lower(), []).append(clock.time(point.at))
    return [
        f"{ABSENT.get(reason, words(reason)).capitalize()}: {'; '.join(f'{label} {_several(at)}' for label, at in of.items())}"
        for reason, of in reasons.items()
    ]


def in_error(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many rows were entered in error, and are not shown."""
    return sum(row.get("state") == "entered-in-error" for row in rows)


def score(course: Course, clock: Clock) -> str:
    """A symptom's course in one line: "9 before (13:35), 7 (14:30), 2 after (16:30)"."""
    return ", ".join(
        f"{_shown(point)}{f' {point.phase}' if point.phase != 'during' else ''} ({clock.time(point.at)})" for point in course.points
    )


def _values(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from row.get("blood_pressure", {}).items()
    yield from ((field, value) for field, value in row.items() if field not in _NO_VALUES)


def _point(row: Mapping[str, Any], value: Any) -> Point:
    absent = value["absent"] if isinstance(value, dict) else ""
    return Point(row["taken_at"], None if absent else value, absent, row.get("phase", ""))


def _value(point: Point) -> Decimal:
    return Decimal(point.value or 0)


def _shown(point: Point) -> str:
    return ABSENT.get(point.absent, words(point.absent)) if point.value is None else number(point.value)


def _several(times: list[str]) -> str:
    return ", ".join(times[:6]) + (f" and {len(times) - 6} more" if len(times) > 6 else "")
