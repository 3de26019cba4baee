"""A date in a search: its prefix, and the span of time it stands for (R4, search: date). Pure."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from fhir_bridge.store.referral_search import Within

PREFIXES = ("eq", "ne", "ge", "gt", "le", "lt", "sa", "eb")
_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+ -])(\d\d):(\d\d))?)?)?)?", re.ASCII
)  # a + that was not escaped arrives as a space


def within(column: str, text: str, zone: tzinfo | None) -> Within:
    """A date with its prefix as a span of time; what is said without a zone is in `zone`, or UTC. Raises ValueError."""
    prefix = text[:2] if text[:2].isalpha() else "eq"
    said = _FORM.fullmatch(text.removeprefix(prefix))
    if said is None or prefix not in PREFIXES:
        raise ValueError(f"must be a date or time such as ge2026-04-17 or 2026-04-17T16:20:00Z; the prefixes are {', '.join(PREFIXES)}")
    try:
        start, end = (moment.replace(tzinfo=_zone(said, zone)).astimezone(UTC) for moment in _span(said))
    except (ValueError, OverflowError):
        raise ValueError("names a day or time that does not exist") from None
    match prefix:
        case "ge":
            return Within(column, start=start)
        case "gt" | "sa":
            return Within(column, start=end)
        case "lt" | "eb":
            return Within(column, end=start)
        case "le":
            return Within(column, end=end)
        case _:
            return Within(column, start, end, outside=prefix == "ne")


def _span(said: re.Match[str]) -> tuple[datetime, datetime]:
    """The first moment and the first moment after, by the clock on the wall."""
    year, month, day, hour, minute, second, fraction = said.groups()[:7]
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    start = datetime(int(year), int(month or 1), int(day or 1))  # noqa: DTZ001  (the zone is put to it)
    start = start.replace(hour=int(hour or 0), minute=int(minute or 0), second=int(second or 0), microsecond=microsecond)
    if month is None:
        return start, start.replace(year=start.year + 1)
    if day is None:
        return start, (start + timedelta(days=31)).replace(day=1)
    if hour is None:
        return start, start + timedelta(days=1)
    if second is None:
        return start, start + timedelta(minutes=1)
    return start, start + (timedelta(seconds=1) if fraction is None else timedelta(microseconds=1))


def _zone(said: re.Match[str], site: tzinfo | None) -> tzinfo:
    zulu, sign, hours, minutes = said.groups()[7:]
    if zulu or (sign is None and site is None):
        return UTC
    if sign is None and site is not None:
        return site
    return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1))
