"""Addresses, identifiers and references, as both directions of the hand-written code need them."""

from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from .tables import PROCEDURE_STATUS

SYSTEM = "https://clinic.example/id"
EXTENSION = "https://clinic.example/extension"
OWN = "https://fhir-bridge.example/CodeSystem"
HL7 = "http://terminology.hl7.org/CodeSystem"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
_VARIANT = "89ab" * 4
Record = dict[str, Any]
Resource = dict[str, Any]


def prefix(kind: str) -> bytes:
    return f"{SYSTEM}\n{kind}\n".encode()


def uid(before: bytes, identity: str) -> str:
    """A UUID (version 5) of the kind of resource and what makes it the same one."""
    digest = sha1(before + identity.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[int(digest[16], 16)]}{digest[17:20]}-{digest[20:32]}"


PATIENT = prefix("patient")
ENCOUNTER = prefix("encounter")
INDICATION = prefix("indication")
PROCEDURE = prefix("procedure")
EPISODE = prefix("episode-of-care")
STAY = prefix("stay")
PLANNED = prefix("planned-appointment")
COMPANION = prefix("companion")
OVERUSE = prefix("overuse")
SERIES_APPOINTMENT = prefix("series-appointment")
REACTION_CONDITION = prefix("reaction-condition")


def referral(record: Record) -> list[Record]:
    """The hospital's order that a session answers."""
    return [{"type": "ServiceRequest", "identifier": {"system": f"{SYSTEM}/referral", "value": record["referral"]["id"]}}]


AGENTS = [
    {
        "type": {"coding": [{"system": f"{HL7}/provenance-participant-type", "code": "author", "display": "Author"}]},
        "who": {"identifier": {"system": f"{SYSTEM}/organization", "value": "clinic"}, "display": "Headache infusion clinic"},
    },
    {
        "type": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type",
                    "code": "transmitter",
                    "display": "Transmitter",
                }
            ]
        },
        "who": {"type": "Device", "identifier": {"system": f"{SYSTEM}/device", "value": "fhir-bridge"}, "display": "fhir_bridge"},
    },
]


@dataclass(slots=True)
class Names:
    """The ids that other resources of one session refer to; None where there is no such resource."""

    session: str
    patient: str
    encounter: str
    indication: str | None
    procedure: str | None


def names_of(record: Record) -> Names:
    session = record["id"]
    return Names(
        session=session,
        patient=uid(PATIENT, record["patient"]["id"]),
        encounter=uid(ENCOUNTER, session),
        indication=uid(INDICATION, f"{session}/indication") if "indication" in record else None,
        procedure=uid(PROCEDURE, f"{session}/infusion") if record["status"] in PROCEDURE_STATUS else None,
    )
