"""What is given and what comes of it: drugs in steps, fluids, reactions, allergies."""

from fhir_bridge.clinic import words
from fhir_bridge.clinic.fields import Integer, Text, Time, Word
from fhir_bridge.clinic.patient import ID, identity
from fhir_bridge.clinic.quantities import Quantity
from fhir_bridge.clinic.structure import Record, Rows
from fhir_bridge.clinic.units import DOSES, RATES, VOLUMES


class OverusedDrug(Record):
    """A drug taken by mouth more often than it should be."""

    key = ("drug",)
    drug = Word("Drug, a word of the drug table", required=True)
    days_per_month = Integer("Days a month on which it is taken", 1, 31, required=True)


class Step(Record):
    """A stretch of time with one rate, or a single dose: a dose, a rate, or both."""

    key = ("started_at",)
    labels = ("started_at", "ended_at")
    started_at = Time("Start of this step", required=True)
    ended_at = Time("End of this step; left out for a push or while it runs")
    dose = Quantity("What was given in this step", DOSES)
    rate = Quantity("How fast", RATES, zero=True)


class Drug(Record):
    """One drug given in the session, in one or more steps."""

    key = ("id",)
    id = identity("Its number in this session, such as 01; drugs and fluids share the numbers")
    drug = Word("Drug, a word of the drug table", required=True)
    state = Word("How it went", words.DRUG_STATES, derived_default="completed")
    reason = Word("Why it was stopped or not given", words.REASONS)
    for_reaction = Text("The reaction it was given against: the id of one in this session", longest=40, pattern=ID)
    route = Word("Way into the body", words.ROUTES, required=True)
    site = Word("Where the line or needle was", words.SITES)
    response = Word("How the headache answered to this drug", words.RESPONSES)
    steps = Rows(Step, "Steps in time, one for each rate or dose", required=True)


class Additive(Record):
    """A drug mixed into a bag of fluid."""

    key = ("drug",)
    drug = Word("Drug, a word of the drug table", required=True)
    amount = Quantity("How much of it is in the bag", DOSES, required=True)


class Fluid(Record):
    """One bag of fluid given in the session."""

    key = ("id",)
    id = identity("Its number in this session, such as 05; drugs and fluids share the numbers")
    fluid = Word("Fluid, a word of the fluid table", required=True)
    state = Word("How it went", words.DRUG_STATES, derived_default="completed")
    reason = Word("Why it was stopped or not given", words.REASONS)
    route = Word("Way into the body", words.ROUTES, required=True)
    site = Word("Where the line was", words.SITES)
    started_at = Time("Start", required=True)
    ended_at = Time("End; left out while it runs")
    volume = Quantity("Volume", VOLUMES, into="mL", required=True)
    rate = Quantity("How fast", RATES, zero=True)
    additives = Rows(Additive, "Drugs mixed into the bag")


class Reaction(Record):
    """Something unwanted that happened to the patient."""

    key = ("id",)
    id = identity("Its number in this session")
    reaction = Word("What happened, a word of the reaction table", required=True)
    started_at = Time("When it was first noticed", required=True)
    ended_at = Time("When it was over")
    severity = Word("How bad it was", words.SEVERITIES)
    outcome = Word("How it ended", words.OUTCOMES)
    seriousness = Word("How serious in the regulatory sense, which a mild reaction may be and a severe one need not", words.SERIOUSNESS)
    suspected_drug = Text("The drug or fluid suspected: the id of one in this session", longest=40, pattern=ID)
    action = Word("What was done about the infusion", words.ACTIONS)
    reported_at = Time("When the patient or nurse reported it")
    note = Text("In words", longest=2000, lines=True)


class Allergy(Record):
    """An allergy or intolerance that a clinician asserts; never derived from a reaction."""

    key = ("id",)
    id = identity("The clinic's number of the assertion")
    drug = Word("Drug, a word of the drug table", required=True)
    kind = Word("Allergy or intolerance", words.ALLERGY_KINDS, required=True)
    certainty = Word("Confirmed?", words.CERTAINTIES, required=True)
    criticality = Word("Danger when it is given again", words.CRITICALITIES)
    recorded_at = Time("When the clinician asserted it", required=True)
    reaction = Word("How it showed, a word of the reaction table")
