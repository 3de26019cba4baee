"""Does a value found in a resource answer one search value? One function per kind of search parameter (R4 search, 3.1.1.4)."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from fhir_bridge.sandbox import dates
from fhir_bridge.sandbox.outcome import Rejected

_PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def split(text: str, separator: str) -> list[str]:
    r"""`text` cut at each `separator` that no backslash protects; the parts keep their backslashes."""
    return [part[::-1] for part in re.split(rf"{re.escape(separator)}(?=(?:\\\\)*(?!\\))", text[::-1])][::-1]


def plain(text: str) -> str:
    r"""`text` without the backslashes that protect `\,` `\|` `\$` `\\`."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def token(found: Any, wanted: str, modifier: str) -> bool:
    """`code`, `system|code`, `|code` (no system) or `system|` against a code, Coding, CodeableConcept, Identifier or boolean."""
    parts = [plain(part) for part in split(wanted, "|")]
    return any(_token(pair, parts) for pair in _pairs(found))


def _token(pair: tuple[str | None, str | None], parts: list[str]) -> bool:
    system, code = pair
    if len(parts) == 1:
        return code == parts[0]
    return (system or "") == parts[0] and parts[1] in ("", code)


def _pairs(found: Any) -> list[tuple[str | None, str | None]]:
    if isinstance(found, bool):
        return [(None, str(found).lower())]
    if isinstance(found, str):
        return [(None, found)]
    if not isinstance(found, dict):
        return []
    if "coding" in found:
        return [pair for coding in found["coding"] for pair in _pairs(coding)]
    return [(found.get("system"), found.get("code", found.get("value")))]


def reference(found: Any, wanted: str, modifier: str) -> bool:
    """`Patient/1`, `1` or an address ending so, against a Reference."""
    target = str(found.get("reference", "")) if isinstance(found, dict) else ""
    kind, _, identity = wanted.rpartition("/")
    kind = kind.rpartition("/")[2] or modifier
    return target.endswith(f"{kind}/{identity}") if kind else target.rpartition("/")[2] == identity


def date(found: Any, wanted: str, modifier: str) -> bool:
    """A prefixed date against a date, dateTime, instant, Period or Timing."""
    prefix, text = wanted_date(wanted)
    span = dates.of(found)
    return span is not None and dates.compare(prefix, span, text)


def wanted_date(wanted: str) -> tuple[str, dates.Span]:
    """The prefix (`eq` when there is none) and the span of a search value; a date that is none is refused."""
    prefix, text = _prefixed(wanted)
    if not (span := dates.parse(text)):
        raise Rejected(400, f'HAPI-1940: Invalid date/time format: "{wanted}"', "invalid")
    return prefix, span


def string(found: Any, wanted: str, modifier: str) -> bool:
    """The beginning (`:exact` all, `:contains` any part) of a text, a name or an address."""
    wanted = plain(wanted)
    for text in _texts(found):
        if modifier == "exact" and text == wanted:
            return True
        low, beginning = text.casefold(), wanted.casefold()
        if modifier != "exact" and (beginning in low if modifier == "contains" else low.startswith(beginning)):
            return True
    return False


def uri(found: Any, wanted: str, modifier: str) -> bool:
    """The very same uri; of `meta.source` the part before `#` is enough, or `#` and the request's id."""
    if not isinstance(found, str):
        return False
    source, _, request = found.partition("#")
    return plain(wanted) in (found, source, f"#{request}")


def quantity(found: Any, wanted: str, modifier: str) -> bool:
    """`[prefix]number|system|code` against a Quantity or a number."""
    number, *unit = split(wanted, "|")
    prefix, text = _prefixed(number)
    value = found.get("value") if isinstance(found, dict) else found
    if unit and isinstance(found, dict) and unit[-1] not in ("", found.get("code"), found.get("unit")):
        return False
    try:
        return value is not None and _compared(prefix, Decimal(value), Decimal(text))
    except InvalidOperation:
        raise Rejected(400, f'HAPI-1940: Invalid number: "{wanted}"', "invalid") from None


def _compared(prefix: str, found: Decimal, wanted: Decimal) -> bool:
    half = Decimal(5).scaleb(int(wanted.as_tuple().exponent) - 1)
    equal = wanted - half <= found < wanted + half
    return {"gt": found > wanted, "lt": found < wanted, "ge": found >= wanted, "le": found <= wanted, "ne": not equal}.get(prefix, equal)


def _prefixed(wanted: str) -> tuple[str, str]:
    return (wanted[:2], wanted[2:]) if wanted[:2] in _PREFIXES else ("eq", wanted)


def _texts(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    if isinstance(found, list):
        return [text for item in found for text in _texts(item)]
    if isinstance(found, dict):
        return [text for value in found.values() for text in _texts(value)]
    return []


BY_KIND = {"token": token, "reference": reference, "date": date, "string": string, "uri": uri, "quantity": quantity, "number": quantity}
