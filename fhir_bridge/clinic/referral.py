"""A referral as the clinic sees it: who is sent by whom, for what, how urgent it is, and how far the clinic has come with it."""

from fhir_bridge.clinic import words
from fhir_bridge.clinic.fields import Integer, Text, Time, Word
from fhir_bridge.clinic.patient import Indication, Patient, Pointer, identity
from fhir_bridge.clinic.structure import Part, Record, Rows


class Requested(Record):
    """What the hospital asks for."""

    treatment = Word("Drug or kind of infusion, a word of the treatment table", required=True)
    note = Text("In words", longest=4000, lines=True)


class Requester(Record):
    """Who refers the patient."""

    id = Text("The requester's number at the hospital", longest=80)
    name = Text("Name", required=True)
    organization = Text("Hospital or practice")
    phone = Text("Telephone number for questions", longest=40, pattern=r"[+0-9(][-+0-9 ()./x]*")


class OrderNumber(Record):
    """The hospital's own number of the order."""

    system = Text("Whose number it is: a URI such as urn:oid:2.999.1", pattern=r"[a-z][a-z0-9+.-]*:[^ ]+", required=True)
    value = Text("The number", longest=80, required=True)


class Attachment(Record):
    """A document that came with the referral; its content is kept elsewhere."""

    key = ("id",)
    id = identity("Its number in this referral")
    title = Text("Title", required=True)
    content_type = Text("Media type, such as application/pdf", longest=100, pattern=r"[a-z0-9.+-]+/[a-z0-9.+-]+", required=True)
    sha256 = Text("SHA-256 of the content, in hexadecimal", longest=64, pattern=r"[0-9a-f]{64}")


class Answer(Pointer):
    """A session that answers the referral."""

    key = ("id",)


class Details(Record):
    """The referral itself."""

    id = identity("The clinic's number of the referral")
    version = Integer("1 when left out; a changed referral has the same id and a higher version", 1, 100_000)
    status = Word("How far it has come", words.REFERRAL_STATES, required=True)
    status_reason = Text("Why it was declined, put on hold, cancelled or could not be carried out", longest=1000, lines=True)
    requested_at = Time("When the hospital made the order")
    received_at = Time("When the clinic received it", required=True)
    urgency = Word("How urgent", words.URGENCIES, required=True)
    indication = Part(Indication, "Why the patient is referred")
    requested = Part(Requested, "What is asked for", required=True)
    requester = Part(Requester, "Who refers the patient", required=True)
    insurance = Text("Who pays, in words")
    placer = Part(OrderNumber, "The hospital's own number of the order")
    attachments = Rows(Attachment, "Documents that came with it")
    sessions = Rows(Answer, "The sessions that answer it")
    summaries = Rows(Answer, "Those of the sessions that are done, whose summary the hospital can read")


class Referral(Record):
    """A patient whom a hospital sends to the clinic; its number is referral.id, the one that a session's referral.id names."""

    patient = Part(Patient, "The person referred", required=True)
    referral = Part(Details, "The referral", required=True)
