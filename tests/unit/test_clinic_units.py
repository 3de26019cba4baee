"""Units as people write them become UCUM, and other units become the clinic's, exactly."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from strategy_parts import decimals

from fhir_bridge.clinic import records, units
from fhir_bridge.mapping.codes import Conversion

REST = {
    "id": "S-1",
    "status": "arrived",
    "patient": {"id": "P-1", "family_name": "Synthetic-Elm", "given_names": ["Sampleina"], "birth_date": "1980-01-01", "sex": "other"},
}


def read(name: str, value: Any) -> Any:
    """What becomes of one value of a reading."""
    return records.load("session", REST | {"readings": [{"taken_at": "2026-03-02T09:00:00Z", name: value}]})["readings"][0][name]


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("temperature", "98.6", "[degF]", "37"),
        ("temperature", "98.60", "degF", "37"),
        ("temperature", "99.5", "degF", "37.5"),
        ("temperature", "98.7", "F", "37.06"),
        ("temperature", "36.80", "C", "36.80"),
        ("weight", "154", "lbs", "69.853"),
        ("weight", "64200", "g", "64.2"),
        ("weight", "142.5", "lb", "64.637"),
        ("weight", "100", "lb", "45.359237"),
        ("height", "66", "in", "167.64"),
        ("height", "1.68", "m", "168"),
        ("heart_rate", "72", "bpm", "72"),
        ("respiratory_rate", "14", "breaths/min", "14"),
        ("mean_pressure", "93", "mmHg", "93"),
        ("oxygen_saturation", "98", "%", "98"),
    ],
)
def test_a_measured_value_becomes_the_clinics_unit(name: str, value: str, unit: str, expected: str) -> None:
    assert str(read(name, {"value": Decimal(value), "unit": unit})) == expected


TABLE = yaml.safe_load((Path(__file__).parents[2] / "mappings" / "codes" / "units.yaml").read_text())
READ = [(source, target) for target, row in TABLE.items() for source, how in row.get("reads", {}).items() if how]


@pytest.mark.parametrize(("source", "target"), READ, ids=lambda unit: unit)
@given(value=decimals(0, 500, places=4))
def test_a_value_means_the_same_whether_the_clinic_or_the_hospital_sends_it(source: str, target: str, value: units.Number) -> None:
    how = {name: Decimal(str(number)) for name, number in TABLE[target]["reads"][source].items() if name != "places"}
    conversion = Conversion(**how, places=TABLE[target]["reads"][source]["places"])
    clinic, hospital = units.convert(value, source, target), conversion.apply(value)
    assert (str(clinic), type(clinic)) == (str(hospital), type(hospital))


def test_digits_stay_and_whole_numbers_stay_whole() -> None:
    assert str(read("temperature", Decimal("36.80"))) == "36.80"
    assert type(read("heart_rate", 72)) is int


def test_an_exponent_is_written_out() -> None:
    assert str(read("heart_rate", Decimal("1E+2"))) == "100"


@pytest.mark.parametrize(
    ("spelling", "code"),
    [("mcg", "ug"), ("µg", "ug"), ("mEq", "meq"), ("gm", "g"), ("ml", "mL"), ("cc", "mL"), ("IU", "[iU]"), ("mcg/kg", "ug/kg")],
)
def test_a_spelling_of_a_dose_becomes_ucum(spelling: str, code: str) -> None:
    assert units.ucum(spelling, units.DOSES) == code


@pytest.mark.parametrize(("spelling", "code"), [("ml/hr", "mL/h"), ("cc/hour", "mL/h"), ("mcg/kg/min", "ug/kg/min"), ("mEq/hr", "meq/h")])
def test_a_spelling_of_a_rate_becomes_ucum(spelling: str, code: str) -> None:
    assert units.ucum(spelling, units.RATES) == code


@pytest.mark.parametrize("spelling", ["gr", "U", "units", "MG", "u", "M", "Mg", "tablet", "", "mg/", "ug/ug"])
def test_a_unit_that_is_ambiguous_or_unknown_is_refused(spelling: str) -> None:
    with pytest.raises(ValueError, match=r"two meanings|not known here"):
        units.ucum(spelling, units.DOSES)


def test_litres_become_millilitres() -> None:
    fluid = {"id": "01", "fluid": "sodium-chloride-0.9", "state": "not-given", "route": "intravenous", "started_at": "2026-03-02T09:00:00Z"}
    loaded = records.load("session", REST | {"fluids": [fluid | {"volume": {"value": Decimal("0.5"), "unit": "L"}}]})
    assert loaded["fluids"][0]["volume"] == {"value": 500, "unit": "mL"}
