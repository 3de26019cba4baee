"""How the changes of one type are learned from one server, the best way it offers. Pure.

A history tells deletions; a search by `_lastUpdated` tells what changed; a sweep reads again what is linked and compares. All of
them end in the same page of `Seen`.
"""

from dataclasses import dataclass
from typing import Literal

from fhir_bridge.hospital.capabilities import Capabilities

TYPES = ("Patient", "ServiceRequest", "Task", "Appointment", "Encounter", "Observation")
Name = Literal["history", "window", "sweep", "reads", "none"]

# Their statements list `_lastUpdated`, and their documentation asks for a patient with it (fhir.epic.com; Oracle Health Millennium
# R4, "Observation: patient or subject is required"; docs.athenahealth.com), so it finds nothing by itself. Where a site's people
# know better: `known_good = ["Observation.search._lastUpdated"]`.
_PATIENT_REQUIRED = frozenset({"epic", "oracle", "athena"})


@dataclass(frozen=True, slots=True)
class Mode:
    """`words` say to a person what this way sees and what it does not."""

    name: Name
    words: str


def modes_of(capabilities: Capabilities, type: str) -> tuple[Mode, ...]:
    """The ways this server offers for `type`, the best first; the last is `none`, which says so."""
    can, found = capabilities.of(type), []
    searches = can.can("search-type")
    if can.can("history-type"):
        found.append(Mode("history", f"{type}: by its history; deletions are seen"))
    if searches and "_lastUpdated" in can.search and _alone(capabilities, type):
        found.append(Mode("window", f"{type}: by a search for what changed; what was deleted is seen by a reconciliation"))
    if searches and type != "Patient" and can.search & {"patient", "subject"}:
        found.append(Mode("sweep", f"{type}: by reading each known patient's again"))
    if can.can("read"):
        found.append(Mode("reads", f"{type}: by reading each linked resource again"))
    return (*found, Mode("none", f"{type}: this hospital offers no way to learn of changes; they are not seen here"))


def _alone(capabilities: Capabilities, type: str) -> bool:
    """Whether `_lastUpdated` may be searched by without a patient."""
    known = {f"{type}.search._lastUpdated", "*.search._lastUpdated"} & capabilities.site.known_good
    return capabilities.vendor not in _PATIENT_REQUIRED or bool(known)
