"""How single values read in a summary: times in one offset, numbers with their digits, units without the traps of UCUM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from fhir_bridge.clinic.times import instant

Names = Callable[[str, str], str]
"""The word for people that a code table has for one of its words: `names("drugs", "valproate")`."""

# "mcg" and "units" instead of the micro sign and IU: Institute for Safe Medication Practices, list of error-prone abbreviations.
_UNITS = {"mm[Hg]": "mmHg", "Cel": "°C", "meq": "mEq", "[iU]": "units", "mmol": "mmol"}
ABSENT = {"refused": "refused", "device-fault": "device fault", "not-done": "not done", "unknown": "reason unknown"}
RESPONSES = {"good": "helped well", "partial": "helped partly", "none": "did not help"}
ACTIONS = {
    "none": "nothing was changed",
    "rate-reduced": "rate reduced",
    "paused": "infusion paused",
    "stopped": "infusion stopped",
    "rescue-drug": "rescue drug given",
    "emergency-services": "emergency services called",
}
ROUTES = {"intravenous": "IV", "intramuscular": "IM", "subcutaneous": "under the skin", "oral": "by mouth", "nasal": "nasal"}


def plain(_table: str, word: str) -> str:
    """The word itself, for callers without code tables."""
    return word.replace("-", " ")


def words(word: str) -> str:
    """A word of the clinic's, to be read: `patient-refused` is "patient refused"."""
    return word.replace("-", " ").replace("_", " ")


def unit(code: str) -> str:
    """A UCUM unit as people write it: `ug/kg/min` is "mcg/kg/min"."""
    return "/".join(_UNITS.get(part, "mcg" if part == "ug" else part) for part in code.split("/"))


def number(value: Any) -> str:
    """A number with the digits it came with, never as a power of ten."""
    return format(value, "f") if not isinstance(value, int) else str(value)


def quantity(value: Mapping[str, Any]) -> str:
    """`{value, unit}` as "50 mL/h"."""
    return f"{number(value['value'])} {unit(value['unit'])}"


def amount(step: Mapping[str, Any]) -> str:
    """A dose and a rate: "0.67 g at 100 mL/h"."""
    return " at ".join(quantity(step[part]) for part in ("dose", "volume", "rate") if part in step)


def sentence(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Clock:
    """The wall clock of the session: all times are shown in its offset, and with the date only when it is another day."""

    zone: tzinfo | None
    day: date | None

    def moment(self, text: str) -> datetime:
        """The moment `text` names, on this clock."""
        return instant(text).astimezone(self.zone)

    def time(self, text: str) -> str:
        """ "09:30", or "2026-03-03 09:30" on another day."""
        moment = self.moment(text)
        return f"{moment:%H:%M}" if moment.date() == self.day else f"{moment:%Y-%m-%d %H:%M}"

    def span(self, part: Mapping[str, Any], start: str = "started_at", end: str = "ended_at") -> str:
        """ "09:30-10:00", or "from 09:30" while it runs."""
        first, last = self.moment(part[start]), self.moment(part[end]) if end in part else None
        if last is None:
            return f"from {self.time(part[start])}"
        return (
            f"{self.time(part[start])}-{last:%H:%M}" if last.date() == first.date() else f"{self.time(part[start])}-{self.time(part[end])}"
        )

    def offset(self) -> str:
        """ "UTC-04:00"."""
        return f"{datetime(2000, 1, 1, tzinfo=self.zone):%Z}" if self.zone else ""


def clock_of(record: Mapping[str, Any]) -> Clock:
    """The clock of the session's start, else of its planned start, else of the first time there is."""
    first = next(iter(times(record)), None)
    if first is None:
        return Clock(None, None)
    moment = instant(first)
    return Clock(moment.tzinfo, moment.date())


def times(record: Mapping[str, Any]) -> list[str]:
    """The times that may stand for the session's day, the best first."""
    planned, follow_up = record.get("planned", {}), record.get("follow_up", {})
    readings = record.get("readings", [{}])
    found = (record.get("started_at"), planned.get("start"), readings[0].get("taken_at"), follow_up.get("created"), follow_up.get("start"))
    return [text for text in found if text]
