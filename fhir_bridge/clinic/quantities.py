"""Numbers with a unit or a reason for being absent: measured values, scores, doses and rates."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError

from fhir_bridge.clinic import units
from fhir_bridge.clinic.fields import Leaf, number

ABSENCES = ("refused", "device-fault", "not-done", "unknown")


class Number(Leaf):
    """A number between two bounds beyond which nobody lives: what falls outside is a slip of unit or keyboard."""

    leaf = "number"

    def __init__(self, about: str, low: units.Number, high: units.Number, **options: Any) -> None:
        self.low, self.high = low, high
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """A number with its bounds."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def within(self, value: Any) -> units.Number:
        """The number, or a `ValidationError` that names the bounds."""
        exact = number(value)
        if not self.low <= exact <= self.high:
            raise ValidationError(f"must lie between {self.low} and {self.high}; check number and unit")
        return exact


class Absentable(Number):
    """A number, or the reason why there is none: `{"absent": "refused"}`."""

    def shape(self) -> dict[str, Any]:
        """A number, or an object that says why there is none."""
        return {"anyOf": [super().shape(), _object(absent={"type": "string", "enum": list(ABSENCES)})]}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            return self.within(value)
        _only(value, {"absent"})
        if value["absent"] not in ABSENCES:
            raise ValidationError({"absent": [f"is not a reason known here; write one of {', '.join(ABSENCES)}"]})
        return dict(value)


class Score(Absentable):
    """A whole number from 0 to 10 that the patient gives, or the reason why there is none."""

    def __init__(self, about: str, **options: Any) -> None:
        super().__init__(about, 0, 10, **options)

    def shape(self) -> dict[str, Any]:
        """A whole number from 0 to 10, or an object that says why there is none."""
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 10}, super().shape()["anyOf"][1]]}

    def within(self, value: Any) -> units.Number:
        """The score, or a `ValidationError`."""
        exact = super().within(value)
        if not isinstance(exact, int):
            raise ValidationError("must be a whole number from 0 to 10")
        return exact


class Measured(Absentable):
    """A measured value in the clinic's `unit`. At the door `{"value": 98.6, "unit": "degF"}` is taken too and converted exactly."""

    def __init__(self, about: str, unit: str, low: units.Number, high: units.Number, **options: Any) -> None:
        self.unit = unit
        super().__init__(f"{about}, in {unit}", low, high, **options)

    def shape(self) -> dict[str, Any]:
        """A number in the clinic's unit, a value with another unit, or an object that says why there is none."""
        other = _object(value={"type": "number"}, unit={"type": "string", "description": f"UCUM: {', '.join(units.sources(self.unit))}"})
        return {"anyOf": [*super().shape()["anyOf"], other]}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, dict) and not value.keys().isdisjoint({"value", "unit"}):
            amount, unit = _amount(value, units.sources(self.unit))
            return self.within(units.convert(amount, unit, self.unit))
        return super()._deserialize(value, attr, data, **kwargs)


class Quantity(Leaf):
    """A value with its unit, `{"value": 10, "unit": "mg"}`: more than `low`, at most what `most` allows for the unit."""

    leaf = "quantity"

    def __init__(self, about: str, most: Mapping[str, int], *, into: str | None = None, zero: bool = False, **options: Any) -> None:
        self.most, self.into, self.zero = most, into, zero
        super().__init__(about, **options)

    def shape(self) -> dict[str, Any]:
        """An object with value and unit; the unit is one of the UCUM codes this field takes."""
        least = {"minimum": 0} if self.zero else {"exclusiveMinimum": 0}
        return _object(
            value={"type": "number", "description": "How much"} | least,
            unit={"type": "string", "description": f"UCUM: {', '.join(self.most)}"},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError('must be an object with value and unit, such as {"value": 10, "unit": "mg"}')
        amount, unit = _amount(value, list(self.most))
        if amount < 0 or amount > self.most[unit] or not (amount or self.zero):
            least = "not below 0" if self.zero else "more than 0"
            raise ValidationError({"value": [f"must be {least} and at most {self.most[unit]} {unit}; check number and unit"]})
        into = self.into or unit
        return {"value": units.convert(amount, unit, into), "unit": into}


def _amount(value: dict[str, Any], allowed: list[str]) -> tuple[units.Number, str]:
    """The number and UCUM code in a value-and-unit object; every fault at once."""
    faults: dict[str, list[str]] = {name: ["is required; add it"] for name in ("value", "unit") if name not in value}
    faults |= {name: ["is not a field known here; known are value, unit"] for name in value.keys() - {"value", "unit"}}
    amount: units.Number = Decimal(0)
    unit = ""
    try:
        amount = number(value.get("value", 0))
    except ValidationError as error:
        faults["value"] = [str(message) for message in error.messages]
    try:
        unit = units.ucum(_text(value.get("unit", allowed[0])), allowed)
    except ValueError as error:
        faults["unit"] = [str(error)]
    if faults:
        raise ValidationError(dict(faults))
    return amount, unit


def _text(unit: Any) -> str:
    if not isinstance(unit, str):
        raise ValueError("must be a unit in quotes")
    return unit


def _only(value: dict[str, Any], known: set[str]) -> None:
    faults = {name: ["is required; add it"] for name in known - value.keys()}
    faults |= {str(name): [f"is not a field known here; known are {', '.join(known)}"] for name in value.keys() - known}
    if faults:
        raise ValidationError(dict(faults))


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
