"""Who is treated and for what, who comes along, who gives the infusion: what more than one kind of record holds."""

from fhir_bridge.clinic import words
from fhir_bridge.clinic.fields import Date, Text, Word
from fhir_bridge.clinic.structure import Lines, Part, Record, Rows
from fhir_bridge.clinic.times import EARLIEST_BIRTH

ID = r"[A-Za-z0-9][A-Za-z0-9.-]*"


def identity(about: str) -> Text:
    """An id of the clinic's own, required."""
    return Text(about, longest=40, pattern=ID, required=True)


class HospitalNumber(Record):
    """A number that a hospital knows the patient by; one for each system, so that a corrected number takes the place of the old one."""

    key = ("system",)
    system = Text("Whose number it is: a URI such as urn:oid:2.999.1", pattern=r"[a-z][a-z0-9+.-]*:[^ ]+", required=True)
    value = Text("The number", longest=80, required=True)


class Address(Record):
    """A postal address."""

    lines = Lines(Text("One line"), "Street lines in their order", required=True)
    city = Text("City", required=True)
    state = Text("State or region")
    postal_code = Text("Postal code", longest=20)
    country = Text("Country", longest=60)


class Patient(Record):
    """The person treated."""

    id = identity("The clinic's own number of the patient")
    hospital_numbers = Rows(HospitalNumber, "Numbers that hospitals know the patient by")
    family_name = Text("Family name", longest=100, required=True)
    given_names = Lines(Text("One given name", longest=100), "Given names in their order", required=True)
    birth_date = Date("Day of birth", earliest=EARLIEST_BIRTH, required=True)
    sex = Word("Administrative sex", words.SEXES, required=True)
    phone = Text("Telephone number", longest=40, pattern=r"[+0-9(][-+0-9 ()./x]*")
    email = Text("E-mail address", longest=120, pattern=r"[^@ ]+@[^@ ]+")
    address = Part(Address, "Postal address")


class Companion(Record):
    """The adult who accompanies the patient."""

    id = identity("The clinic's own number of the companion")
    name = Text("Name")
    relationship = Word("What the companion is to the patient", words.RELATIONSHIPS, required=True)


class Performer(Record):
    """Who gave the infusion."""

    id = identity("The clinic's own number of the person")
    name = Text("Name", required=True)


class Indication(Record):
    """What the infusion is given for."""

    condition = Word("Condition, a word of the condition table", required=True)
    note = Text("In words", longest=1000, lines=True)


class Pointer(Record):
    """Another record of the clinic, by its number."""

    id = identity("Its number")
