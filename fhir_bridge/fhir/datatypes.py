"""The invariants of R4's data types that a schema can't say or says badly; each message ends with the id R4 gives the rule.

A rule takes the object of that type, of any shape, and gives what is wrong with it, or None.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from fhir_bridge.fhir.elements import children
from fhir_bridge.fhir.times import is_after

Rule = Callable[[Mapping[str, Any]], str | None]


def ends_before_start(period: Mapping[str, Any]) -> bool:
    """True when `start` is certainly later than `end`; both are texts as R4 writes times."""
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    if len(start) == len(end) and start[19:] == end[19:]:  # same fraction and offset: the texts sort as the times do
        return start > end
    return is_after(start, end)


def _period(period: Mapping[str, Any]) -> str | None:
    return "must not end before it starts (per-1)" if ends_before_start(period) else None


def _quantity(quantity: Mapping[str, Any]) -> str | None:
    return "has a unit code without its system; add system (qty-3)" if "code" in quantity and "system" not in quantity else None


def _ratio(ratio: Mapping[str, Any]) -> str | None:
    has = ("numerator" in ratio, "denominator" in ratio)
    if has[0] != has[1] or not (has[0] or "extension" in ratio):
        return "must have a numerator and a denominator, or only an extension (rat-1)"
    return None


def _range(value: Mapping[str, Any]) -> str | None:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict) or low.get("code") != high.get("code"):
        return None
    least, most = low.get("value"), high.get("value")
    if isinstance(least, int | float | Decimal) and isinstance(most, int | float | Decimal) and least > most:
        return "must not have a low above its high (rng-2)"
    return None


def _extension(extension: Mapping[str, Any]) -> str | None:
    if _extension_values().isdisjoint(extension) != ("extension" in extension):
        return "must have either a value or extensions (ext-1)"
    return None


@cache
def _extension_values() -> frozenset[str]:
    return frozenset(name for name, element in children("Extension").items() if element.choice)


def _attachment(attachment: Mapping[str, Any]) -> str | None:
    return "has data without its contentType; add it (att-1)" if "data" in attachment and "contentType" not in attachment else None


def _contact_point(contact: Mapping[str, Any]) -> str | None:
    return "has a value without a system; add system (cpt-2)" if "value" in contact and "system" not in contact else None


RULES: dict[str, tuple[Rule, ...]] = {
    "Age": (_quantity,),
    "Attachment": (_attachment,),
    "ContactPoint": (_contact_point,),
    "Count": (_quantity,),
    "Distance": (_quantity,),
    "Duration": (_quantity,),
    "Extension": (_extension,),
    "Period": (_period,),
    "Quantity": (_quantity,),
    "Range": (_range,),
    "Ratio": (_ratio,),
}
