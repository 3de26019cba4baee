"""The closed set of converters: each a pair that undoes itself, `write` from the record and `read` back from the resource.

`write` gives the resource's value, or `ABSENT` when there is nothing to say; `read` gives the record's value or `Candidates`.
Both raise ValueError with a reason that names no value. `meaning` is what two spellings of one value have in common.
`claims` tells which leaves of an element that the converter fills it spoke of.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from fhir_bridge.mapping.codes import Candidates, Code, CodeTable, Unit


class _Absent:
    """Nothing is there: neither a value nor a reason."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TIME_ALPHABET = frozenset("0123456789-:+.TZ")
UCUM = "http://unitsofmeasure.org"
TEXT_TYPES = frozenset({"string", "code", "uri", "url", "canonical", "id", "markdown", "base64Binary", "oid", "uuid"})


@dataclass(frozen=True, slots=True)
class Converter:
    """A value that stands in the resource as it stands in the record: text."""

    name: ClassVar[str] = "text"
    fhir_types: ClassVar[frozenset[str]] = frozenset(
        {"string", "code", "uri", "url", "canonical", "id", "markdown", "base64Binary", "oid", "uuid"}
    )
    #: the characters a value can hold, when they are few; None means any
    alphabet: ClassVar[frozenset[str] | None] = None

    def write(self, value: Any) -> Any:
        return value

    def read(self, value: Any) -> Any:
        if isinstance(value, str) and value:
            return value
        raise ValueError("is not text")

    def meaning(self, value: Any) -> Any:
        return value

    def claims(self, value: Any) -> Iterator[tuple[str | int, ...]]:
        """Paths below the element that were understood; the element itself when it is a leaf."""
        yield ()


@dataclass(frozen=True, slots=True)
class Many(Converter):
    """A list of text, as one field."""

    name: ClassVar[str] = "many"

    def read(self, value: Any) -> Any:
        if isinstance(value, list) and value and all(isinstance(item, str) and item for item in value):
            return list(value)
        raise ValueError("is not a list of text")

    def meaning(self, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def claims(self, value: Any) -> Iterator[tuple[str | int, ...]]:
        yield from ((index,) for index in range(len(value)))


@dataclass(frozen=True, slots=True)
class Number(Converter):
    """A number with its digits: `36.80` stays `36.80`, and means what `36.8` means."""

    name: ClassVar[str] = "number"
    fhir_types = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})

    def read(self, value: Any) -> Any:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return value
        raise ValueError("is not a number")

    def meaning(self, value: Any) -> Any:
        return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class Boolean(Converter):
    name: ClassVar[str] = "boolean"
    fhir_types = frozenset({"boolean"})

    def read(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        raise ValueError("is not true or false")


@dataclass(frozen=True, slots=True)
class Date(Converter):
    """A whole date. A year or a month alone is not understood: no day is made up for it."""

    name: ClassVar[str] = "date"
    fhir_types = frozenset({"date", "dateTime"})
    alphabet = TIME_ALPHABET

    def read(self, value: Any) -> Any:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return value
        raise ValueError("is not a whole date")


@dataclass(frozen=True, slots=True)
class Time(Converter):
    """A point in time with its offset as it was written; two spellings of one instant mean the same."""

    name: ClassVar[str] = "dateTime"
    fhir_types = frozenset({"dateTime", "instant"})
    alphabet = TIME_ALPHABET

    def read(self, value: Any) -> Any:
        if isinstance(value, str) and _TIME.fullmatch(value):
            self.meaning(value)
            return value
        raise ValueError("is not a full date and time with its offset")

    def meaning(self, value: Any) -> Any:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Instant(Time):
    name: ClassVar[str] = "instant"


@dataclass(frozen=True, slots=True)
class Plain(Converter):
    """`code TABLE`: a word as a bare code."""

    table: CodeTable
    name: ClassVar[str] = "code"
    fhir_types = frozenset({"code", "string", "uri"})

    def write(self, value: Any) -> Any:
        codes = self.table.codes(value)
        return codes[0].code if codes else ABSENT

    def read(self, value: Any) -> Any:
        return _candidates(self.table, "", value)


@dataclass(frozen=True, slots=True)
class Coding(Converter):
    """`coding TABLE`: a word as a whole Coding."""

    table: CodeTable
    name: ClassVar[str] = "coding"
    fhir_types = frozenset({"Coding"})

    def write(self, value: Any) -> Any:
        codes = self.table.codes(value)
        return coding(codes[0]) if codes else ABSENT

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("is not a Coding")
        return _candidates(self.table, value.get("system", ""), value.get("code"))

    def claims(self, value: Any) -> Iterator[tuple[str | int, ...]]:
        yield from (("system",), ("code",), ("display",))


@dataclass(frozen=True, slots=True)
class Concept(Converter):
    """`concept TABLE`: a word as a whole CodeableConcept, one coding for each verified code, our own word, and a text to read.

    Read back from every coding that the table knows, in whatever order; what they have in common is the word.
    """

    table: CodeTable
    name: ClassVar[str] = "concept"
    fhir_types = frozenset({"CodeableConcept"})

    def write(self, value: Any) -> Any:
        codings = [coding(code) for code in self.table.codes(value)]
        if self.table.local:
            codings.append({"system": self.table.local, "code": value})
        return {"coding": codings, "text": self.table.names[value]} if codings else ABSENT

    def read(self, value: Any) -> Any:
        known = [self.table.read[key] for _, key in self._codings(value) if key in self.table.read]
        if not known:
            raise ValueError(f"has no coding that the table {self.table.name} knows")
        words = frozenset.intersection(*(candidates.words for candidates in known))
        if not words:
            raise ValueError(f"has codings that mean different words of the table {self.table.name}")
        defaults = {candidates.default for candidates in known if candidates.default in words}
        return _narrow(Candidates(words, defaults.pop() if len(defaults) == 1 else None))

    def claims(self, value: Any) -> Iterator[tuple[str | int, ...]]:
        words = {word for _, key in self._codings(value) if key in self.table.read for word in self.table.read[key].words}
        if value.get("text") in {self.table.names.get(word) for word in words}:  # another text may say more than the codes
            yield ("text",)
        for index, key in self._codings(value):
            if key in self.table.read:
                yield from (("coding", index, part) for part in ("system", "code", "display"))

    def _codings(self, value: Any) -> Iterator[tuple[int, tuple[str, str]]]:
        codings = value.get("coding") if isinstance(value, dict) else None
        for index, item in enumerate(codings if isinstance(codings, list) else ()):
            if isinstance(item, dict) and isinstance(item.get("code"), str) and isinstance(item.get("system", ""), str):
                yield index, (item.get("system", ""), item["code"])


@dataclass(frozen=True, slots=True)
class Quantity(Converter):
    """`quantity UNIT`: a number as a whole Quantity in that unit; other units are converted where the table of units says how."""

    unit: Unit
    name: ClassVar[str] = "quantity"
    fhir_types = frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"})

    def write(self, value: Any) -> Any:
        return {"value": value, "unit": self.unit.shown, "system": UCUM, "code": self.unit.code}

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict) or isinstance(value.get("value"), bool) or not isinstance(value.get("value"), int | Decimal):
            raise ValueError("is not a Quantity with a value")
        if "comparator" in value:
            raise ValueError("has a comparator, so its value is a bound and not a measurement")
        if value.get("system") != UCUM or not isinstance(value.get("code"), str):
            raise ValueError("has no UCUM unit")
        conversion = self.unit.reads.get(value["code"])
        if conversion is None:
            raise ValueError(f"is in a unit that is not read as {self.unit.code}; add it to codes/units.yaml")
        return conversion.apply(value["value"])

    def meaning(self, value: Any) -> Any:
        return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value

    def claims(self, value: Any) -> Iterator[tuple[str | int, ...]]:
        yield from (("value",), ("unit",), ("system",), ("code",))


def coding(code: Code) -> dict[str, str]:
    """A Coding element; a display only where there is one."""
    found = {"system": code.system, "code": code.code}
    if code.display:
        found["display"] = code.display
    return found


PLAIN: Final[dict[str, Converter]] = {
    "text": Converter(),
    "many": Many(),
    "number": Number(),
    "boolean": Boolean(),
    "date": Date(),
    "dateTime": Time(),
    "instant": Instant(),
}
WITH_TABLE: Final[dict[str, Callable[[CodeTable], Converter]]] = {"code": Plain, "coding": Coding, "concept": Concept}


def table_of(converter: Converter) -> CodeTable | None:
    """The code table of a converter that has one."""
    return converter.table if isinstance(converter, Plain | Coding | Concept) else None


def _narrow(candidates: Candidates) -> str | Candidates:
    """A single candidate is the word itself."""
    return candidates if len(candidates.words) > 1 else next(iter(candidates.words))


def _candidates(table: CodeTable, system: Any, code: Any) -> str | Candidates:
    found = table.read.get((system, code)) if isinstance(system, str) and isinstance(code, str) else None
    if found is None:
        raise ValueError(f"is not a code of the table {table.name}; add it to codes/{table.name}.yaml")
    return _narrow(found)
