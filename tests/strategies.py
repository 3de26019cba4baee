"""Whole valid clinic records for Hypothesis: every field and status, any digits and offsets, in normal form or as a clinic may send them.

Times are drawn as moments first and written down afterwards, each with an offset of its own, so that order is true whatever the
text looks like. `sessions()` and `appointments()` satisfy `load(kind, record) == record`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import strategy_parts as parts
from hypothesis import strategies as st

from fhir_bridge.clinic import records, words
from fhir_bridge.clinic.rules import REFERRAL_REASONS

Draw = Callable[[st.SearchStrategy[Any]], Any]
Record = dict[str, Any]

ZONES = [
    UTC,
    ZoneInfo("America/New_York"),
    ZoneInfo("Europe/Berlin"),
    timezone(timedelta(hours=5, minutes=30)),
    timezone(-timedelta(hours=3, minutes=30)),
]
# the hours in which clocks change are drawn as often as all others together
CLOCK_CHANGES = [
    datetime(2026, 3, 8, 6, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
]


ZONE = st.sampled_from(ZONES)
FRACTION = st.sampled_from(["", "", "", ".0", ".000", ".000000"])
BOOL = st.booleans()
START = st.sampled_from(CLOCK_CHANGES) | st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
BEGUN = ("completed", "stopped", "in-progress", "paused")


def written(draw: Draw, moment: datetime) -> str:
    """`moment` as text, with an offset and a precision of its own."""
    text = moment.astimezone(draw(ZONE)).isoformat(timespec="seconds")
    stem, offset = text[:19], text[19:]
    return stem + str(draw(FRACTION)) + ("Z" if offset == "+00:00" and draw(BOOL) else offset)


class Clock:
    """Moments within a session, drawn in minutes after its start and written down."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.start = draw(START).replace(microsecond=0)
        self.minutes = draw(st.integers(30, 600))
        self.minute = st.integers(0, self.minutes)
        self.some = st.sets(self.minute, max_size=4)

    def at(self, minute: int) -> str:
        """The time `minute` minutes after the start."""
        return written(self.draw, self.start + timedelta(minutes=minute))

    def perhaps(self, name: str, minute: int) -> Record:
        """The field `name` with a time, or nothing."""
        return {name: self.at(minute)} if self.draw(BOOL) else {}

    def distinct(self) -> list[int]:
        """Different minutes of the session, in order."""
        return sorted(self.draw(self.some))

    def span(self) -> Record:
        """A start and perhaps an end after it, both within the session."""
        first, last = sorted([self.draw(self.minute), self.draw(self.minute)])
        return {"started_at": self.at(first)} | self.perhaps("ended_at", last)


def _readings(clock: Clock, state: st.SearchStrategy[str]) -> list[Record]:
    return [{"taken_at": clock.at(minute), "state": clock.draw(state)} | clock.draw(parts.VITALS) for minute in clock.distinct()]


def _symptoms(clock: Clock, state: st.SearchStrategy[str]) -> list[Record]:
    return [
        {"taken_at": clock.at(minute), "phase": clock.draw(parts.PHASE), "state": clock.draw(state)} | clock.draw(parts.SCORES)
        for minute in clock.distinct()
    ]


def _steps(clock: Clock) -> list[Record]:
    starts = clock.distinct() or [0]
    return [
        {"started_at": clock.at(first)} | clock.perhaps("ended_at", last) | clock.draw(parts.AMOUNTS)
        for first, last in pairwise([*starts, clock.minutes])
    ]


def _state(draw: Draw, states: st.SearchStrategy[str]) -> Record:
    """The state of a drug or fluid, and perhaps its reason."""
    state = draw(states)
    return {"state": state} | ({"reason": draw(parts.REASON)} if state in ("stopped", "not-given") and draw(BOOL) else {})


def _one_of(draw: Draw, name: str, choices: list[str]) -> Record:
    """`name` with one of `choices`, or nothing."""
    return {name: draw(st.sampled_from(choices))} if choices and draw(BOOL) else {}


def _drug(clock: Clock, number: str, states: st.SearchStrategy[str], reactions: list[str]) -> Record:
    fixed = {"id": number} | clock.draw(parts.DRUG) | _state(clock.draw, states)
    return dict(fixed | _one_of(clock.draw, "for_reaction", reactions) | {"steps": _steps(clock)})


def _fluid(clock: Clock, number: str, states: st.SearchStrategy[str]) -> Record:
    return dict({"id": number} | clock.draw(parts.FLUID) | _state(clock.draw, states) | clock.span())


def _reaction(clock: Clock, name: str, suspects: list[str]) -> Record:
    times = clock.span() | clock.perhaps("reported_at", clock.minutes + 30)
    return dict({"id": name} | clock.draw(parts.REACTION) | times | _one_of(clock.draw, "suspected_drug", suspects))


def _follow_up(clock: Clock) -> Record:
    status = clock.draw(st.sampled_from(words.APPOINTMENT_STATES))
    timed = status not in ("proposed", "cancelled", "waitlisted") or clock.draw(BOOL)
    times = {"start": clock.at(clock.minutes + 1440), "end": clock.at(clock.minutes + 1500)} if timed else {}
    reason = _one_of(clock.draw, "reason", list(words.CANCELLED_BY)) if status == "cancelled" else {}
    rest = clock.draw(parts.part(id=parts.ids(), status=st.just(status), minutes=parts.maybe(st.integers(1, 600))))
    return dict(rest | times | reason | clock.perhaps("created", 5))


def _planned_day(clock: Clock, day: int) -> Record:
    status = clock.draw(st.sampled_from(words.APPOINTMENT_STATES))
    return {
        "day": str(day),
        "appointment_id": f"A-{day}",
        "status": status,
        "start": clock.at(1440 * day),
        "end": clock.at(1440 * day + 60),
    }


def _series(clock: Clock) -> Record:
    days, first = clock.draw(st.integers(1, 4)), clock.start.date()
    fields = parts.part(
        id=parts.ids(),
        day=st.integers(1, days),
        days=st.just(days),
        status=st.sampled_from(words.SERIES_STATES),
        started_on=parts.maybe(st.just(first.isoformat())),
        ended_on=parts.maybe(st.just((first + timedelta(days=days)).isoformat())),
        goal=parts.maybe(parts.texts()),
    )
    series = dict(clock.draw(fields))
    if clock.draw(BOOL):
        series["plan"] = [_planned_day(clock, day) for day in range(1, days + 1)]
    if clock.draw(BOOL):
        over = series["status"] == "finished" or (series["status"] != "active" and clock.draw(BOOL))
        ended = {"ended_at": clock.at(clock.minutes + 60)} if over else {}
        series["stay"] = {"id": clock.draw(parts.ids()), "started_at": clock.at(-60)} | ended
    return series


def _times(clock: Clock, status: str) -> Record:
    if status == "not-started":
        return {"ended_at": clock.at(clock.minutes)} | clock.perhaps("started_at", 0)
    if status in ("completed", "stopped"):
        return {"started_at": clock.at(0), "ended_at": clock.at(clock.minutes)}
    return {"started_at": clock.at(0)} if status in BEGUN else {}


def _states(status: str) -> tuple[st.SearchStrategy[str], st.SearchStrategy[str]]:
    """The states that readings and drugs may have in a session of this status."""
    if status == "entered-in-error":
        return st.just(status), st.just(status)
    given = words.DRUG_STATES if status in BEGUN else ["not-given", "entered-in-error"]
    return st.sampled_from(words.READING_STATES), st.sampled_from(given)


def _head(draw: Draw, clock: Clock, status: str) -> Record:
    version = draw(st.integers(1, 3))
    head = {"id": draw(parts.ids()), "version": version, "status": status, "patient": draw(parts.PATIENT)}
    if version > 1 and draw(BOOL):
        head["correction"] = {"reason": draw(parts.texts()), "at": clock.at(2000)}
    if status in ("stopped", "not-started", "cancelled") or (status == "no-show" and draw(BOOL)):
        head["status_reason"] = draw(parts.REASON)
    if draw(BOOL):
        head["planned"] = {"start": clock.at(-15), "end": clock.at(clock.minutes)}
    if draw(BOOL):
        head["indication"] = draw(parts.INDICATION)
    if draw(BOOL):
        head["recorded_at"] = clock.at(clock.minutes)
    if draw(BOOL):
        past = st.sampled_from(words.SESSION_STATES)
        head["history"] = [
            {"status": draw(past), "started_at": clock.at(at)} | clock.perhaps("ended_at", at + 5) for at in clock.distinct()
        ]
        head = {name: value for name, value in head.items() if value}
    return head | {"care_setting": draw(st.sampled_from(words.CARE_SETTINGS))}


def _names(draw: Draw, prefix: str, most: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(1, draw(st.integers(0, most)) + 1)]


def _treatment(draw: Draw, clock: Clock, status: str) -> Record:
    read_states, drug_states = _states(status)
    certain = {"certainty": status} if status == "entered-in-error" else {}
    drugs, fluids, reactions = _names(draw, "0", 3), _names(draw, "1", 2), _names(draw, "R", 2)
    found = {
        "readings": _readings(clock, read_states),
        "symptoms": _symptoms(clock, read_states),
        "drugs": [_drug(clock, number, drug_states, reactions) for number in drugs],
        "fluids": [_fluid(clock, number, drug_states) for number in fluids],
        "reactions": [_reaction(clock, name, drugs + fluids) for name in reactions],
        "allergies": [
            {"id": name, "recorded_at": clock.at(clock.minutes)} | draw(parts.ALLERGY) | certain for name in _names(draw, "AL", 2)
        ],
    }
    return {name: rows for name, rows in found.items() if rows}


@st.composite
def sessions(draw: Draw, statuses: tuple[str, ...] = words.SESSION_STATES) -> Record:
    """A whole session in normal form."""
    clock = Clock(draw)
    status = draw(st.sampled_from(statuses))
    record = _head(draw, clock, status) | _times(clock, status) | _treatment(draw, clock, status) | draw(parts.REST)
    if draw(BOOL):
        record["follow_up"] = _follow_up(clock)
    if draw(BOOL):
        record["series"] = _series(clock)
    return records.load("session", record)


@st.composite
def appointments(draw: Draw) -> Record:
    """A follow-up appointment on its own, in normal form."""
    follow_up = _follow_up(Clock(draw))
    session = {"session": {"id": draw(parts.ids())}} if draw(BOOL) else {}
    version = {"version": draw(st.integers(2, 9))} if draw(BOOL) else {}
    return records.load("appointment", {"patient": draw(parts.PATIENT), "follow_up": follow_up | version} | session)


@st.composite
def referrals(draw: Draw) -> Record:
    """A referral in any of its states, in normal form."""
    clock = Clock(draw)
    status = draw(st.sampled_from(words.REFERRAL_STATES))
    fixed = {"status": status, "received_at": clock.at(clock.minutes)} | clock.perhaps("requested_at", 0)
    reason = {"status_reason": draw(parts.texts())} if status == "declined" or (status in REFERRAL_REASONS and draw(BOOL)) else {}
    return records.load("referral", {"patient": draw(parts.PATIENT), "referral": draw(parts.REFERRAL) | fixed | reason})


ORDERED_BY_SENDER = {"given_names", "lines"}


@st.composite
def shuffled(draw: Draw, record: Any) -> Any:
    """`record` as another clinic system may send it: fields and keyed lists in any order."""
    if isinstance(record, dict):
        names = draw(st.permutations(list(record)))
        return {name: record[name] if name in ORDERED_BY_SENDER else draw(shuffled(record[name])) for name in names}
    if isinstance(record, list):
        return draw(st.permutations([draw(shuffled(row)) for row in record]))
    return record
