"""What is measured and asked during a session: vital signs and symptom scores, each timed.

The bounds are those of life, not of health: a heart rate of 190 is recorded, one of 1900 is a slip.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fhir_bridge.clinic import words
from fhir_bridge.clinic.fields import Date, Integer, Time, Word
from fhir_bridge.clinic.quantities import Measured, Score
from fhir_bridge.clinic.structure import Part, Record
from fhir_bridge.errors import Fault, Refused


@dataclass(frozen=True, slots=True)
class Vital:
    """A vital sign that a site measures besides ours: its field in a reading, its UCUM unit, and the bounds of life."""

    field: str
    unit: str
    low: int
    high: int
    about: str


class BloodPressure(Record):
    """Both pressures of one measurement; either may be absent with a reason."""

    systolic = Measured("Systolic pressure", "mm[Hg]", 0, 350, required=True)
    diastolic = Measured("Diastolic pressure", "mm[Hg]", 0, 250, required=True)


class Reading(Record):
    """Vital signs taken at one moment: at least one value, or the reason why there is none."""

    key = ("taken_at",)
    labels = ("taken_at", "state")
    taken_at = Time("When the values were taken", required=True)
    state = Word("Corrected, or entered in error?", words.READING_STATES, derived_default="recorded")
    heart_rate = Measured("Heart rate", "/min", 0, 400)
    respiratory_rate = Measured("Respiratory rate", "/min", 0, 120)
    oxygen_saturation = Measured("Oxygen saturation by pulse oximetry", "%", 0, 100)
    temperature = Measured("Body temperature", "Cel", 20, 45)
    weight = Measured("Body weight", "kg", 1, 650)
    height = Measured("Body height", "cm", 20, 280)
    mean_pressure = Measured("Mean arterial pressure", "mm[Hg]", 0, 300)
    blood_pressure = Part(BloodPressure, "Blood pressure")


def reading_with(vitals: Iterable[Vital]) -> type[Reading]:
    """Readings that may also hold `vitals`; `Refused` for a field that is no name or exists already."""
    added: dict[str, Measured] = {}
    for vital in vitals:
        if not re.fullmatch("[a-z][a-z0-9_]*", vital.field) or vital.field in {*Reading().fields, *added}:
            raise Refused([Fault(vital.field, "is no name for a further vital sign; write an unused one such as end_tidal_co2")])
        added[vital.field] = Measured(vital.about, vital.unit, vital.low, vital.high)
    return type("Reading", (Reading,), {"__doc__": Reading.__doc__, **added})


class Symptom(Record):
    """What the patient says at one moment: at least one score, or the reason why there is none."""

    key = ("taken_at",)
    labels = ("taken_at", "phase", "state")
    taken_at = Time("When the patient was asked", required=True)
    phase = Word("Before, during or after the infusion", words.PHASES, required=True)
    state = Word("Corrected, or entered in error?", words.READING_STATES, derived_default="recorded")
    pain = Score("Pain, 0 none to 10 worst")
    nausea = Score("Nausea, 0 none to 10 worst")


class HeadacheDays(Record):
    """Days with headache in a window of days, as the diary says."""

    start = Date("First day of the window", data_key="from", attribute="from", required=True)
    end = Date("Last day of the window", data_key="to", attribute="to", required=True)
    days = Integer("Days with headache in the window", 0, 400, required=True)
