"""FHIR's date, dateTime and instant, read with the precision and the offset they were written with (R4, data types).

Texts stay the truth: nothing here rewrites one. Two times are compared by meaning, `…T09:00:00-05:00` with `…T14:00:00Z`, and
only as far as both are known: `2026-03` is neither before nor after `2026-03-02`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

_FORM = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:(Z)|([+-])(\d\d):(\d\d)))?)?)?", re.ASCII)
_PRECISIONS = ("year", "month", "day")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as far as it is said: `precision` is year, month, day or second; `offset` is None unless it is second."""

    precision: str
    local: datetime  # naive, without fraction; what is not said is the first of it
    fraction: Decimal = Decimal(0)
    offset: timedelta | None = None

    @property
    def instant(self) -> tuple[datetime, Decimal]:
        """The place on the world's time line; raises ValueError when no time of day is said."""
        if self.offset is None:
            raise ValueError("a date without a time of day is no instant")
        return self.local - self.offset, self.fraction


def parse(text: str) -> Moment:
    """Reads a date, dateTime or instant; raises ValueError (without the text) when it is none, or a day that does not exist."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("is not a FHIR date, dateTime or instant")
    year, month, day, hour, minute, second, fraction, zulu, sign, zone_hours, zone_minutes = match.groups()
    try:
        date = datetime(int(year), int(month or 1), int(day or 1))  # noqa: DTZ001  (local by intent; the offset is beside it)
        if hour is None:
            return Moment(_PRECISIONS[sum(part is not None for part in (month, day))], date)
        offset = timedelta() if zulu else timedelta(hours=int(zone_hours), minutes=int(zone_minutes)) * (-1 if sign == "-" else 1)
        local = date.replace(hour=int(hour), minute=int(minute)) + timedelta(seconds=_second(second))
        return Moment("second", local, Decimal(f"0.{fraction or 0}"), offset)
    except (ValueError, OverflowError) as error:
        raise ValueError("names a day or time that does not exist") from error


def instant(text: str) -> datetime:
    """The aware time, in UTC, cut to microseconds; raises ValueError when `text` has no time of day with an offset."""
    moment, fraction = parse(text).instant
    try:
        return moment.replace(tzinfo=UTC) + timedelta(microseconds=int(fraction * 1_000_000))
    except OverflowError as error:  # pragma: no cover  (the last second of the year 9999)
        raise ValueError("lies beyond the calendar") from error


def same_instant(a: str, b: str) -> bool:
    """True when both say the same time to the same precision, however they spell it; False also when one is no time."""
    try:
        one, other = parse(a), parse(b)
        if one.offset is None or other.offset is None:
            return one == other
        return one.instant == other.instant
    except (ValueError, OverflowError):
        return False


def is_after(a: str, b: str) -> bool:
    """True when `a` is certainly later than `b`; False when it is not, or cannot be told, or one of them is no time."""
    try:
        one, other = parse(a), parse(b)
        if one.offset is not None and other.offset is not None:
            return one.instant > other.instant
    except (ValueError, OverflowError):
        return False
    known = min(_known(one), _known(other))
    return one.local.timetuple()[:known] > other.local.timetuple()[:known]


def _second(text: str) -> int:
    if int(text) > 60:  # 60 is the leap second: the same as the next minute's first
        raise ValueError
    return int(text)


def _known(moment: Moment) -> int:
    """How many of year, month, day can be compared with a time that may lie in another zone."""
    return _PRECISIONS.index(moment.precision) + 1 if moment.precision in _PRECISIONS else len(_PRECISIONS)
