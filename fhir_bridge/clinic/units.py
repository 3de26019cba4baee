"""Units as people write them become UCUM; pounds, inches and degrees Fahrenheit become the clinic's units, in exact decimals.

Spellings are told apart by the field they stand in: `F` is degrees Fahrenheit for a temperature (in UCUM alone it is a farad).
A spelling that can mean two things (`gr` is grain or gram, `gtt` depends on the drip set, `units` on the drug) is refused.
UCUM: https://ucum.org/ucum
"""

from collections.abc import Collection
from decimal import ROUND_HALF_EVEN, Context, Decimal

DOSES = {"mg": 100_000, "g": 100, "ug": 1_000_000, "mL": 5_000, "meq": 500, "mmol": 500, "mg/kg": 200, "ug/kg": 10_000, "[iU]": 1_000_000}
RATES = {
    "mL/h": 2_000, "mL/min": 100, "mg/h": 5_000, "mg/min": 500, "g/h": 50, "ug/h": 100_000, "ug/min": 10_000, "ug/kg/h": 5_000,
    "ug/kg/min": 500, "mg/kg/h": 100, "meq/h": 100, "mmol/h": 100, "[iU]/h": 100_000,
}  # fmt: skip
VOLUMES = {"mL": 10_000, "L": 10}

_PARTS = {
    "mcg": "ug", "µg": "ug", "μg": "ug", "ml": "mL", "cc": "mL", "l": "L", "gm": "g", "mEq": "meq", "IU": "[iU]",
    "hr": "h", "hour": "h", "mins": "min", "minute": "min",
}  # fmt: skip
_WHOLE = {
    "mmHg": "mm[Hg]", "mm Hg": "mm[Hg]", "bpm": "/min", "beats/min": "/min", "breaths/min": "/min", "1/min": "/min", "percent": "%",
    "lbs": "[lb_av]", "lb": "[lb_av]", "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "kgs": "kg",
    "degF": "[degF]", "F": "[degF]", "°F": "[degF]", "degC": "Cel", "C": "Cel", "°C": "Cel",
}  # fmt: skip
_AMBIGUOUS = {
    "gr": "grain or gram: write g", "u": "units or micro: write [iU]",
    "U": "units of what: write [iU]", "units": "units of what: write [iU]", "MG": "megagram or milligram: write mg",
    "gtt/min": "depends on the drip set: write mL/h", "drops/min": "depends on the drip set: write mL/h",
}  # fmt: skip
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_FACTORS = {
    ("[lb_av]", "kg"): Decimal("0.45359237"),
    ("g", "kg"): Decimal("0.001"),
    ("[in_i]", "cm"): Decimal("2.54"),
    ("m", "cm"): Decimal(100),
    ("L", "mL"): Decimal(1000),
}

Number = int | Decimal


def ucum(spelling: str, allowed: Collection[str]) -> str:
    """The UCUM code of `spelling`, one of `allowed`; `ValueError` says what to write instead."""
    if spelling in allowed:
        return spelling
    if (meanings := _AMBIGUOUS.get(spelling)) is not None:
        raise ValueError(f"is a unit with two meanings ({meanings})")
    code = _WHOLE.get(spelling) or "/".join(_PARTS.get(part, part) for part in spelling.split("/"))
    if code not in allowed:
        raise ValueError(f"is a unit not known here; write one of {', '.join(allowed)}")
    return code


def sources(unit: str) -> list[str]:
    """The units that can be turned into `unit`, itself first."""
    return [unit, *(["[degF]"] if unit == "Cel" else []), *(source for source, target in _FACTORS if target == unit)]


def convert(value: Number, source: str, target: str) -> Number:
    """`value` in `target` units. Exact; only °F to °C, which may never end in decimals, is rounded, to one place more than was sent."""
    if source == target:
        return value
    if (source, target) == ("[degF]", "Cel"):
        return _celsius(Decimal(value))
    return _whole_if_whole(_EXACT.multiply(Decimal(value), _FACTORS[source, target]), value)


def _celsius(value: Decimal) -> Number:
    places = -min(int(value.as_tuple().exponent), 0)
    ninths = _EXACT.multiply(value - 32, Decimal(5))
    exact = _EXACT.divide(ninths, Decimal(9)).quantize(Decimal(1).scaleb(-places))
    if exact * 9 == ninths:  # 98.6 °F is 37.0 °C
        return exact if places else int(exact)
    return _EXACT.divide(ninths, Decimal(9)).quantize(Decimal(1).scaleb(-places - 1))


def _whole_if_whole(product: Decimal, sent: Number) -> Number:
    return int(product) if isinstance(sent, int) and product == product.to_integral_value() else product
