"""Dates and times as the clinic writes them: text, offset kept, and nothing that names no moment or two.

A time keeps the offset it was sent with. A time without one is a reading of the site's wall clock: it is completed with the
offset that clock had, and refused where the clock showed that reading twice or never (the hours when summer time ends and begins).
Errors are `ValueError`s whose text says what to do; they never repeat the value.
"""

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EARLIEST, LATEST = 1990, 2199  # years a session can lie in; outside is a slip of the keyboard
EARLIEST_BIRTH = 1880
WIDEST_OFFSET = timedelta(hours=14)  # the widest offset a FHIR time may have


def instant(text: str) -> datetime:
    """The moment a complete time names; aware, so that moments with different offsets compare."""
    return datetime.fromisoformat(text)


def day(text: str) -> date:
    """The calendar day of a date."""
    return date.fromisoformat(text)


def complete_time(text: str, zone: ZoneInfo | None) -> str:
    """`text` with seconds and an offset; what was sent stays as it was sent."""
    found = TIME.fullmatch(text)
    if found is None:
        raise ValueError("is not a time; write it like 2026-03-02T09:00:00-05:00")
    if found[1] is None:
        text = f"{text[:16]}:00{text[16:]}"
    moment = _moment(text)
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(f"lies outside the years {EARLIEST} to {LATEST}; correct the year")
    if moment.tzinfo is None:
        return text + _offset_at(moment, zone)
    return text


def real_date(text: str, *, earliest: int = EARLIEST) -> str:
    """`text` when it is a day of the calendar in a year from `earliest` on."""
    if DATE.fullmatch(text) is None:
        raise ValueError("is not a date; write it like 2026-03-02")
    try:
        year = date.fromisoformat(text).year
    except ValueError:
        raise ValueError("is a day that the calendar does not have; correct it") from None
    if not earliest <= year <= LATEST:
        raise ValueError(f"lies outside the years {earliest} to {LATEST}; correct the year")
    return text


def _moment(text: str) -> datetime:
    if text[17:19] == "60":
        raise ValueError("has second 60; a leap second is written as second 59")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is a day or hour that does not exist; correct it (hours run from 00 to 23)") from None
    if text[11:13] == "24":  # newer Pythons read 24:00 as the next midnight
        raise ValueError("has hour 24; write 00:00:00 of the next day")
    offset = moment.utcoffset()
    if offset is not None and abs(offset) > WIDEST_OFFSET:
        raise ValueError("has an offset wider than 14:00; correct it")
    return moment


def _offset_at(moment: datetime, zone: ZoneInfo | None) -> str:
    """The offset the site's clock had at the wall time `moment`: "-05:00"."""
    if zone is None:
        raise ValueError("has no offset and the site has no time zone; add the offset, such as -05:00")
    first, second = (moment.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if first > second:  # the clock went back: this hour was shown twice
        raise ValueError(f"exists twice in {zone.key}: the clock goes back that hour; add the offset, {_sign(first)} or {_sign(second)}")
    if first < second:  # the clock went forward over this hour
        raise ValueError(f"does not exist in {zone.key}: the clock goes forward over that hour; correct it")
    return _sign(first)


def _sign(offset: timedelta) -> str:
    minutes = int(offset.total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
