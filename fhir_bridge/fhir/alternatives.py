"""Other ways in which R4 lets a sender say the same thing, rewritten as the way our templates know.

Used only for what no template could read as it was sent. Nothing is made up: a time that is moved is the sender's, and a code
that is added is implied by the one that is there. `moved` says where each rewritten leaf stood, for whoever must name it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOINC = "http://loinc.org"
#: a LOINC code that another one implies: the two codes of pulse oximetry, and the blood pressure panel before 2017
IMPLIED: Mapping[str, str] = {"59408-5": "2708-6", "2708-6": "59408-5", "55284-4": "85354-9"}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`resource` as our templates know it; `moved`: path now → path as it was sent, or nothing for what was added."""

    resource: dict[str, Any]
    moved: Mapping[str, str] = field(default_factory=dict)


def rewritten(resource: dict[str, Any]) -> Rewritten | None:
    """The resource said the other way; None when there is none."""
    if resource.get("resourceType") != "Observation":
        return None
    timed, moved = _time(resource)
    coded, added = _code(timed)
    return Rewritten(coded, {**moved, **added}) if moved or added else None


def _time(resource: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A measurement's instant is its time; of a period, it is the start, and the end is left where it was."""
    if "effectiveDateTime" in resource:
        return resource, {}
    if isinstance(instant := resource.get("effectiveInstant"), str):
        rest = {name: value for name, value in resource.items() if name != "effectiveInstant"}
        return {**rest, "effectiveDateTime": instant}, {"Observation.effectiveDateTime": "Observation.effectiveInstant"}
    period = resource.get("effectivePeriod")
    if not isinstance(period, dict) or not isinstance(period.get("start"), str):
        return resource, {}
    left = {name: value for name, value in period.items() if name != "start"}
    rest = {name: value for name, value in resource.items() if name != "effectivePeriod"} | ({"effectivePeriod": left} if left else {})
    return {**rest, "effectiveDateTime": period["start"]}, {"Observation.effectiveDateTime": "Observation.effectivePeriod.start"}


def _code(resource: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    if not isinstance(codings, list) or not isinstance(code, dict):
        return resource, {}
    there = [one["code"] for one in codings if isinstance(one, dict) and one.get("system") == LOINC and isinstance(one.get("code"), str)]
    implied = [IMPLIED[one] for one in there if one in IMPLIED and IMPLIED[one] not in there]
    if not implied:
        return resource, {}
    more = [{"system": LOINC, "code": one} for one in implied]
    places = {f"Observation.code.coding[{index}].{name}": "" for index in range(len(codings), len(codings) + len(more)) for name in more[0]}
    return {**resource, "code": {**code, "coding": [*codings, *more]}}, places
