"""What surrounds a session: the follow-up appointment, the series it belongs to, the inpatient stay."""

from fhir_bridge.clinic import words
from fhir_bridge.clinic.fields import Date, Integer, Text, Time, Word
from fhir_bridge.clinic.patient import identity
from fhir_bridge.clinic.structure import Part, Record, Rows


class FollowUp(Record):
    """The return visit."""

    id = identity("The clinic's number of the appointment")
    version = Integer("1 when left out; a changed appointment has the same id and a higher version", 1, 100_000)
    status = Word("Where the appointment stands", words.APPOINTMENT_STATES, required=True)
    start = Time("Start; with end, needed by every status but proposed, cancelled and waitlisted")
    end = Time("End")
    minutes = Integer("How long it takes, in minutes", 1, 1440)
    reason = Word("Who cancelled; for a cancelled appointment only", words.CANCELLED_BY)
    created = Time("When the appointment was made")


class PlannedDay(Record):
    """One day of a series, with its appointment."""

    key = ("day",)
    day = Text("Number of the day, as text", longest=3, pattern=r"[1-9][0-9]*", required=True)
    appointment_id = identity("The clinic's number of that day's appointment")
    status = Word("Where that appointment stands", words.APPOINTMENT_STATES, required=True)
    start = Time("Start", required=True)
    end = Time("End", required=True)


class Stay(Record):
    """The hospital stay that holds all days of an inpatient series."""

    id = identity("The clinic's number of the stay")
    started_at = Time("Admission", required=True)
    ended_at = Time("Discharge")


class Series(Record):
    """The series of days this session is one of."""

    id = identity("The clinic's number of the series")
    day = Integer("Which day this session is", 1, 60, required=True)
    days = Integer("How many days the series has", 1, 60, required=True)
    status = Word("Where the series stands", words.SERIES_STATES, required=True)
    started_on = Date("First day")
    ended_on = Date("Last day")
    goal = Text("What the series is to reach", longest=1000, lines=True)
    plan = Rows(PlannedDay, "The days as planned")
    stay = Part(Stay, "The one hospital stay of an inpatient series")
