"""Units as people write them become UCUM; pounds, inches and degrees Fahrenheit become the clinic's units, in exact decimals.

One rule for every conversion, the same as for values that a hospital sends: exact where six decimal places are enough, else
rounded half to even at the places of the unit (`_PLACES`, as `places` in `mappings/codes/units.yaml`).

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
#: (value - minus) * times / over
_CONVERSIONS = {
    ("[degF]", "Cel"): (32, Decimal(5), 9),
    ("[lb_av]", "kg"): (0, Decimal("0.45359237"), 1),
    ("g", "kg"): (0, Decimal(1), 1000),
    ("[in_i]", "cm"): (0, Decimal("2.54"), 1),
    ("m", "cm"): (0, Decimal(100), 1),
    ("L", "mL"): (0, Decimal(1000), 1),
}
_PLACES = {"Cel": 2, "kg": 3, "cm": 2, "mL": 3}
_FINEST = Decimal("0.000001")

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
    return [unit, *(source for source, target in _CONVERSIONS if target == unit)]


def convert(value: Number, source: str, target: str) -> Number:
    """`value` in `target` units, without zeros behind the last decimal; a value already in them keeps its digits."""
    if source == target:
        return value
    minus, times, over = _CONVERSIONS[source, target]
    product = _EXACT.divide(_EXACT.multiply(Decimal(value) - minus, times), Decimal(over))
    if product != product.quantize(_FINEST, context=_EXACT):
        product = product.quantize(Decimal(1).scaleb(-_PLACES[target]), context=_EXACT)
    return int(product) if product == product.to_integral_value() else product.normalize(_EXACT)
