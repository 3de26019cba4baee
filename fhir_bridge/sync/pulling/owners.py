"""Who owns what: one table with an owner for every field of every record.

The clinic owns the facts of its sessions. The hospital owns who the patient is, its own numbers, its order, and when and whether
an appointment takes place, once it has said so. `docs/owners.md` tells it to people.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from fhir_bridge.clinic.leaves import schema_path

Owner = Literal["clinic", "hospital"]

_CLINIC: Final[Owner] = "clinic"
_HOSPITAL: Final[Owner] = "hospital"

# A field belongs to the owner of the longest entry that it is, or is inside of. There is no owner for what is not named here.
OWNERS: Mapping[str, Owner] = MappingProxyType(
    {
        # every kind: who the patient is says the hospital; the clinic's own number of the patient is the clinic's
        "patient": _HOSPITAL,
        "patient.id": _CLINIC,
        # the session: its facts
        **dict.fromkeys(("id", "version", "correction", "status", "status_reason", "recorded_at", "history", "care_setting"), _CLINIC),
        **dict.fromkeys(("started_at", "ended_at", "indication", "overused_drugs", "readings", "symptoms", "headache_days"), _CLINIC),
        **dict.fromkeys(("drugs", "fluids", "reactions", "allergies", "companion", "instructions", "outcome", "performer"), _CLINIC),
        # its appointments: the clinic makes them, the hospital moves them
        "planned": _HOSPITAL,
        "follow_up": _HOSPITAL,
        **dict.fromkeys(("follow_up.id", "follow_up.version", "follow_up.created"), _CLINIC),
        "series": _CLINIC,
        **dict.fromkeys(("series.plan[].status", "series.plan[].start", "series.plan[].end"), _HOSPITAL),
        # the stay in a hospital is the hospital's, its number in our records ours
        "series.stay": _HOSPITAL,
        "series.stay.id": _CLINIC,
        # the appointment on its own: the session it follows
        "session": _CLINIC,
        # the referral: the order and where it stands is the hospital's; when it came to us and what answers it is ours
        "referral": _HOSPITAL,
        **dict.fromkeys(("referral.id", "referral.version", "referral.received_at", "referral.sessions"), _CLINIC),
    }
)


def owner(path: str) -> Owner:
    """Whose the field at `path` (`readings[…].heart_rate`) is. Raises `KeyError` for a field that the table forgot."""
    part = schema_path(path)
    while part not in OWNERS:
        shorter = part[: -len("[]")] if part.endswith("[]") else part.rpartition(".")[0]
        if not shorter:
            raise KeyError(f"no owner of {schema_path(path)}")
        part = shorter
    return OWNERS[part]
