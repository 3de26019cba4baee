"""The kinds of value a record is made of, each with its one form, its faults and its JSON Schema.

Every field answers three questions: what does the sent value become (`_deserialize`), what is it in JSON Schema (`shape`), and
what is it called in the field tree (`leaf`). Faults say what to do and never repeat the value.
"""

import math
import re
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError
from marshmallow import fields as base

from fhir_bridge.clinic import times, units

site_zone: ContextVar[ZoneInfo | None] = ContextVar("site_zone", default=None)

Messages = dict[str, str | list[Any] | dict[Any, Any]]
MESSAGES: Messages = {
    "required": "is required; add it",
    "null": "is null; leave the field out, or say why it is absent where that is possible",
}
_ODD_SPACE = re.compile(r"[^\S \r\n\t]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1b\x7f\ud800-\udfff]")
_MOST_DIGITS = 18  # FHIR decimals hold no more


class Leaf(base.Field[Any]):
    """A single value. `leaf` is its name in the field tree, `about` the sentence a developer reads."""

    leaf = "text"
    default_error_messages = MESSAGES

    def __init__(self, about: str, *, default: Any = None, derived_default: str | None = None, **options: Any) -> None:
        if default is not None:
            options["load_default"] = default
        self.derived_default = derived_default  # filled by the normal form, where it depends on the rest of the record
        super().__init__(metadata={"description": about}, **options)

    def shape(self) -> dict[str, Any]:
        """This field's JSON Schema, without description and default."""
        raise NotImplementedError


class Text(Leaf):
    """Words for people: trimmed, at most `longest` characters; line breaks only where `lines` allows them."""

    def __init__(self, about: str, *, longest: int = 200, lines: bool = False, pattern: str | None = None, **options: Any) -> None:
        self.longest, self.lines, self.pattern = longest, lines, pattern
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """A string with its length, and its form where it has one."""
        return {"type": "string", "minLength": 1, "maxLength": self.longest} | ({"pattern": f"^{self.pattern}$"} if self.pattern else {})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be text; put it in quotes")
        text = _ODD_SPACE.sub(" ", value).strip()
        if not text:
            raise ValidationError("is empty; leave the field out")
        if len(text) > self.longest:
            raise ValidationError(f"is longer than {self.longest} characters; shorten it")
        if _CONTROL.search(value) or (not self.lines and re.search(r"[\r\n\t]", text)):
            raise ValidationError("holds a control character or line break; remove it")
        if self.pattern and not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValidationError(f"does not have the form {self.pattern}; correct it")
        return text


class Word(Leaf):
    """A lower-case word with dashes: one of `words`, or any word that a code table will know."""

    leaf = "word"
    pattern = r"[a-z0-9]+([.-][a-z0-9]+)*"

    def __init__(self, about: str, words: Collection[str] = (), **options: Any) -> None:
        self.words = tuple(words)
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """An enumeration, or the form of a word."""
        return (
            {"type": "string", "enum": list(self.words)}
            if self.words
            else {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": 80}
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be a word in quotes")
        if self.words and value not in self.words:
            raise ValidationError(f"is not a word known here; write one of {', '.join(self.words)}")
        if not re.fullmatch(self.pattern, value, re.ASCII) or len(value) > 80:
            raise ValidationError("is not a word; write lower-case letters, digits and dashes, such as magnesium-sulfate")
        return value


class Time(Leaf):
    """A moment, with its offset; without one it is the site's wall clock (`site_zone`)."""

    leaf = "time"

    def shape(self) -> dict[str, Any]:
        """A string; the pattern also takes the naive times that the site's zone completes."""
        return {"type": "string", "pattern": f"^{times.TIME.pattern}$".replace(r"\d", "[0-9]")}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be a time in quotes, such as 2026-03-02T09:00:00-05:00")
        try:
            return times.complete_time(value, site_zone.get())
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Date(Leaf):
    """A calendar day."""

    leaf = "date"

    def __init__(self, about: str, *, earliest: int = times.EARLIEST, **options: Any) -> None:
        self.earliest = earliest
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """A string in the date format."""
        return {"type": "string", "format": "date"}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be a date in quotes, such as 2026-03-02")
        try:
            return times.real_date(value, earliest=self.earliest)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class Integer(Leaf):
    """A whole number from `low` to `high`."""

    leaf = "integer"

    def __init__(self, about: str, low: int, high: int, **options: Any) -> None:
        self.low, self.high = low, high
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """An integer with its bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("must be a whole number, without quotes and decimals")
        if not self.low <= value <= self.high:
            raise ValidationError(f"must lie between {self.low} and {self.high}; correct it")
        return value


def number(value: Any) -> units.Number:
    """The exact number in `value`, digits kept; `ValidationError` for text, booleans, NaN, Infinity and exponents out of bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValidationError("must be a number, without quotes")
    if not math.isfinite(value):
        raise ValidationError("is not a finite number; leave it out or say why it is absent")
    if isinstance(value, int):
        exact: units.Number = value
    else:
        exact = _plain(Decimal(repr(value)) if isinstance(value, float) else value)
    if len(Decimal(exact).as_tuple().digits) > _MOST_DIGITS or "E" in str(exact):
        raise ValidationError(f"has too many digits; send at most {_MOST_DIGITS}, and none smaller than 0.000001")
    return exact


def _plain(value: Decimal) -> units.Number:
    """`1e2` is 100 and `-0.0` is 0.0; every other number keeps its digits."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and 0 <= exponent <= _MOST_DIGITS:
        return int(value)
    return abs(value) if value.is_zero() else value
