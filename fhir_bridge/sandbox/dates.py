"""A FHIR date as the span of time it covers: `2026-03` is a month, `2026-03-02T09:00:00Z` a second, a Period what lies between.

Search compares spans (R4 search, 3.1.1.5.8), with HAPI's reading measured on 8.8.0: `gt` and `lt` skip the whole unit the
value was given in, `ge` and `le` include it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` on, up to but not including `high`."""

    low: datetime
    high: datetime


def parse(text: str) -> Span | None:
    """The span of a FHIR date, dateTime or instant; None when it is none. Without a zone it is UTC, the server's own."""
    if not (match := _DATE.fullmatch(text)):
        return None
    year, month, day, hour, _, second, fraction, _ = match.groups()
    try:
        if hour:
            start = datetime.fromisoformat(text if match[8] else text + "+00:00")
            unit = timedelta(minutes=1) if not second else timedelta(seconds=1) if not fraction else timedelta(milliseconds=1)
            return Span(start, start + unit)
        start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    except ValueError:
        return None
    if day:
        return Span(start, start + timedelta(days=1))
    return Span(start, _next_month(start) if month else start.replace(year=start.year + 1))


def of(value: Any) -> Span | None:
    """The span of an element: a date text, a Period, a Timing."""
    if isinstance(value, str):
        return parse(value)
    if not isinstance(value, dict):
        return None
    if "event" in value or "repeat" in value:
        spans = [span for event in value.get("event", []) if (span := of(event))]
        return Span(min(s.low for s in spans), max(s.high for s in spans)) if spans else of(value.get("repeat", {}).get("boundsPeriod"))
    start, end = of(value.get("start")), of(value.get("end"))
    return Span(start.low if start else _FIRST, end.high if end else _LAST) if start or end else None


def compare(prefix: str, found: Span, wanted: Span) -> bool:
    """Is what was found eq, ne, gt, lt, ge, le, sa, eb (or ap) to what is wanted?"""
    match prefix:
        case "gt":
            return found.high > wanted.high
        case "lt":
            return found.low < wanted.low
        case "ge":
            return found.high > wanted.low
        case "le":
            return found.low < wanted.high
        case "sa":
            return found.low >= wanted.high
        case "eb":
            return found.high <= wanted.low
        case "ap":
            return found.low < wanted.high and found.high > wanted.low
    inside = found.low >= wanted.low and found.high <= wanted.high
    return inside if prefix == "eq" else not inside


def _next_month(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
