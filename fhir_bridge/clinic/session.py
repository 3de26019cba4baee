"""The two records the clinic sends: an infusion session, and a follow-up appointment on its own."""

from collections.abc import Iterable

from fhir_bridge.clinic import words
from fhir_bridge.clinic.course import FollowUp, Series
from fhir_bridge.clinic.fields import Integer, Text, Time, Word
from fhir_bridge.clinic.patient import Companion, Indication, Patient, Performer, Pointer, identity
from fhir_bridge.clinic.structure import Part, Record, Rows
from fhir_bridge.clinic.treatment import Allergy, Drug, Fluid, OverusedDrug, Reaction
from fhir_bridge.clinic.vitals import HeadacheDays, Reading, Symptom, Vital, reading_with

_READINGS = "Vital signs, one element a moment"


class Correction(Record):
    """Why this version replaces the one before."""

    reason = Text("What was wrong", longest=1000, lines=True, required=True)
    at = Time("When it was corrected", required=True)


class Past(Record):
    """A state that the session was in before."""

    key = ("started_at",)
    status = Word("The state", words.SESSION_STATES, required=True)
    started_at = Time("When the session came into it", required=True)
    ended_at = Time("When it left it")


class Planned(Record):
    """The time the session was planned for."""

    start = Time("Planned start", required=True)
    end = Time("Planned end", required=True)


class Instruction(Record):
    """Something the patient was told."""

    key = ("id",)
    id = identity("Its number in this session")
    text = Text("What the patient was told", longest=2000, lines=True, required=True)


class Outcome(Record):
    """What the clinician says of the course."""

    text = Text("In words", longest=4000, lines=True, required=True)


class Session(Record):
    """One infusion session: planned, running, done, stopped early, missed, cancelled or entered in error."""

    id = identity("The clinic's own session number, such as S-MCV-1")
    version = Integer("1 at first; a corrected session has the same id and a higher version", 1, 100_000, default=1)
    correction = Part(Correction, "Why this version replaces the one before; only with a version above 1")
    status = Word("Where the session stands", words.SESSION_STATES, required=True)
    status_reason = Word("Why it was stopped, not started or cancelled; may be given for a no-show", words.REASONS)
    recorded_at = Time("When the clinic's system wrote this version down")
    history = Rows(Past, "The states it was in before, with their times")
    care_setting = Word("Where the infusion is given", words.CARE_SETTINGS, default="clinic")
    patient = Part(Patient, "The person treated", required=True)
    planned = Part(Planned, "The time the session was planned for")
    started_at = Time("When the infusion session began")
    ended_at = Time("When it ended")
    indication = Part(Indication, "What the infusion is given for")
    overused_drugs = Rows(OverusedDrug, "Drugs taken by mouth too often")
    readings = Rows(Reading, _READINGS)
    symptoms = Rows(Symptom, "Symptom scores, one element a moment")
    headache_days = Part(HeadacheDays, "Days with headache in a window before the session")
    drugs = Rows(Drug, "Drugs given, or meant to be given")
    fluids = Rows(Fluid, "Bags of fluid")
    reactions = Rows(Reaction, "What happened that was not wanted")
    allergies = Rows(Allergy, "Allergies and intolerances a clinician asserts")
    companion = Part(Companion, "The adult who accompanies the patient")
    instructions = Rows(Instruction, "What the patient was told")
    follow_up = Part(FollowUp, "The return visit")
    series = Part(Series, "The series of days this session is one of")
    outcome = Part(Outcome, "What the clinician says of the course")
    referral = Part(Pointer, "The referral this session answers")
    performer = Part(Performer, "Who gave the infusion")


def session_with(vitals: Iterable[Vital]) -> type[Session]:
    """Sessions whose readings may also hold `vitals`."""
    return type("Session", (Session,), {"__doc__": Session.__doc__, "readings": Rows(reading_with(vitals), _READINGS)})


class Appointment(Record):
    """A follow-up appointment on its own; its number is follow_up.id."""

    patient = Part(Patient, "The patient", required=True)
    follow_up = Part(FollowUp, "The appointment", required=True)
    session = Part(Pointer, "The session it follows")
