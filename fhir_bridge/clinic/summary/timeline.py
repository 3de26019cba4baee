"""What the timeline shows, as values in time: lanes of bars for what was given and what happened, and the span they lie in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import ascii_uppercase
from typing import Any

from fhir_bridge.clinic.summary.given import called, in_time, state
from fhir_bridge.clinic.summary.vitals import courses
from fhir_bridge.clinic.summary.wording import ACTIONS, Clock, Names, amount, quantity, sentence, words

Record = Mapping[str, Any]
_TICKS = (1, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 10080)  # minutes
_MOST_TICKS = 11
_AROUND = timedelta(hours=1)  # how far outside the session something is still drawn


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one lane; without an end it was over at once, or is still going on (`open`). `labels`: the longest first."""

    start: datetime
    end: datetime | None
    labels: tuple[str, ...]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """One drug, bag or reaction."""

    name: str
    kind: str
    pieces: tuple[Piece, ...]
    stopped: bool = False
    letter: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """The time shown; `minutes` lie between ticks."""

    start: datetime
    end: datetime
    minutes: int

    def share(self, moment: datetime) -> float:
        """Where `moment` lies: 0 at the start, 1 at the end; what lies outside is drawn at the edge."""
        return min(1.0, max(0.0, (moment - self.start) / (self.end - self.start)))

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment <= self.end

    def ticks(self) -> Iterator[datetime]:
        """Round times, counted from midnight."""
        step = timedelta(minutes=self.minutes)
        tick = _down(self.start + step - timedelta(microseconds=1), step)
        while tick <= self.end:
            yield tick
            tick += step


def span(record: Record, clock: Clock) -> Span | None:
    """The time to show: the session and what happened up to an hour around it; None when nothing has a time."""
    moments = [clock.moment(text) for text in _moments(record)]
    inside = [clock.moment(record[end]) for end in ("started_at", "ended_at") if end in record]
    if len(inside) == 2:
        moments = [moment for moment in moments if inside[0] - _AROUND <= moment <= inside[1] + _AROUND]
    if not (moments := moments + inside):
        return None
    first, last = min(moments), max(moments)
    minutes = next((each for each in _TICKS if (last - first) / timedelta(minutes=each) <= _MOST_TICKS - 2), _TICKS[-1])
    edge = timedelta(minutes=minutes) / 4
    start, end = _down(first, edge), _down(last + edge - timedelta(microseconds=1), edge)
    return Span(start, max(end, start + edge), minutes)


def lanes(record: Record, clock: Clock, names: Names) -> list[Lane]:
    """What was given, in the order of time; without what was entered in error."""
    name = called(record, names)
    return [_lane(one, name[one["id"]], clock) for one in in_time(record) if one.get("state") != "entered-in-error"]


def reactions(record: Record, clock: Clock) -> list[Lane]:
    """What happened, in the order of time, each with a letter."""
    found = sorted(record.get("reactions", ()), key=lambda one: clock.moment(one["started_at"]))
    return [_reaction(one, letter, clock) for one, letter in zip(found, ascii_uppercase, strict=False)]


def _lane(one: Record, name: str, clock: Clock) -> Lane:
    running = one.get("state") in ("in-progress", "on-hold")
    if one.get("state") == "not-given":
        at = clock.moment(one["steps"][0]["started_at"])
        return Lane(name, "none", (Piece(at, None, (state(one).lower(), "not given")),))
    pieces = tuple(
        Piece(clock.moment(step["started_at"]), _end(step, clock), _amounts(step), running and step is one["steps"][-1])
        for step in one["steps"]
    )
    return Lane(name, "fluid" if "fluid" in one else "drug", pieces, one.get("state") == "stopped")


def _reaction(one: Record, letter: str, clock: Clock) -> Lane:
    action = ACTIONS.get(one["action"], "") if one.get("action", "none") != "none" else ""
    said = [part for part in ("SERIOUS" if one.get("seriousness") == "serious" else "", one.get("severity", ""), action) if part]
    labels = tuple(", ".join(said[:length]) for length in range(len(said), 0, -1))
    end = _end(one, clock)
    piece = Piece(clock.moment(one["started_at"]), end, labels, end is None and one.get("outcome") in ("ongoing", "recovering"))
    return Lane(sentence(words(one["reaction"])), "reaction", (piece,), letter=letter)


def _amounts(step: Record) -> tuple[str, ...]:
    """Dose and rate; where there is no room for both the rate, which is what changes; else the dose."""
    alone = [quantity(step[part]) for part in ("rate", "dose", "volume") if part in step]
    return tuple(dict.fromkeys([amount(step), *alone]))


def _down(moment: datetime, step: timedelta) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // step * step


def _end(part: Record, clock: Clock) -> datetime | None:
    return clock.moment(part["ended_at"]) if "ended_at" in part else None


def _moments(record: Record) -> Iterator[str]:
    for rows in ("readings", "symptoms"):
        yield from (point.at for course in courses(record.get(rows, [])) for point in course.points)
    for one in (*in_time(record), *record.get("reactions", ())):
        for part in one.get("steps", [one]):
            yield from (part[end] for end in ("started_at", "ended_at") if end in part)
