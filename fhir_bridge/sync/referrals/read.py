"""A hospital's referral, in whatever shape it came, as the clinic's record: read by the same templates that write ours.

The parts that senders write in many ways are brought into the one form the templates know (`parts`); an order's day without
a time of day is not made into a time. What is not in the record is named by path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.convert import ReadBack, map_back
from fhir_bridge.sync.referrals import parts
from fhir_bridge.sync.referrals.find import Found, find

#: the status words with which a hospital asks, and those with which it takes back, by type
ASKS = {"ServiceRequest": frozenset({"draft", "active"}), "Task": frozenset({"draft", "requested", "received", "accepted", "ready"})}
TAKES_BACK = {"revoked": "cancelled", "cancelled": "cancelled", "entered-in-error": "entered-in-error"}
_READ = frozenset(
    {"resourceType", "id", "meta", "text", "identifier", "status", "intent", "priority", "code", "subject", "authoredOn", "requester",
     "reasonCode", "reasonReference", "insurance", "note", "supportingInfo"}
)  # fmt: skip

#: what must be known of a patient, and where it stands in FHIR
_TOLD = {"family_name": "Patient.name.family", "given_names": "Patient.name.given", "birth_date": "Patient.birthDate"}


@dataclass(frozen=True, slots=True)
class Order:
    """What the hospital says: the record without our number, standing and times of receipt; `taken_back` is cancelled or entered-in-error.

    `header` is its MessageHeader; `left_out` names what is not in the record. `onto` is the version it was read onto, where that matters.
    """

    record: dict[str, Any]
    placer: dict[str, str]
    header: dict[str, Any]
    taken_back: str = ""
    why: str = ""
    left_out: tuple[str, ...] = ()
    onto: int | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """Which order a message is about: its parts, the order's number at the sender, and whether it is taken back (as of `Order`)."""

    found: Found
    placer: dict[str, str]
    taken_back: str


def identified(site: Site, document: Any) -> Identified:
    """Raises `Refused` when the document is no referral."""
    found = find(document)
    placer = parts.placer(found.order, f"{_own(site)}/referral") or parts.named_by_id(found.order, found.header)
    if placer is None:
        raise Refused(
            [Fault("ServiceRequest.identifier", "needs the order's number with its system: without it a repetition cannot be told")]
        )
    return Identified(found, placer, _standing(found))


def placer_in(site: Site, bundle: dict[str, Any]) -> dict[str, str] | None:
    """The number of the one order in a transaction that is right R4; None where it takes reading to tell."""
    resources = [one.get("resource", {}) for one in bundle["entry"]]
    orders = [one for one in resources if one.get("resourceType") == "ServiceRequest"]
    return parts.placer(orders[0], f"{_own(site)}/referral") if len(orders) == 1 else None


def read(site: Site, document: Any) -> Order:
    """Raises `Refused`, with every reason, when the document is no referral this clinic can read."""
    named = identified(site, document)
    found = named.found
    back = map_back(site.mapping, [_patient(site, found.patient), _order(found, named.placer)], kinds=site.records)
    record = _completed(site, found, back)
    return Order(
        record, named.placer, found.header, taken_back=named.taken_back,
        why=str(found.task.get("statusReason", {}).get("text", "")), left_out=tuple(_left_out(found, back)),
    )  # fmt: skip


def patient(site: Site, sent: dict[str, Any]) -> dict[str, Any]:
    """The patient of a record in a Patient alone. Raises `Refused` when nobody could say by it who is meant."""
    return _told(map_back(site.mapping, [_patient(site, sent)], kinds=site.records).record.get("patient", {}))


def number_of(sender: str, placer: dict[str, str]) -> str:
    """Our number of the referral: always the same for the same sender and order."""
    return f"R-{_digest(sender, placer['system'], placer['value'])}"


def patient_number(record: dict[str, Any], referral: str) -> str:
    """Our number of a patient: by the hospital's number with its issuer and the birth date, else by the referral."""
    patient = record["patient"]
    for one in patient.get("hospital_numbers", []):
        return f"H-{_digest(one['system'], one['value'], patient.get('birth_date', ''))}"
    return f"H-{_digest(referral)}"


def _own(site: Site) -> str:
    return str(site.mapping.tables.site["system"])


def _digest(*said: str) -> str:
    return sha256("\0".join(said).encode()).hexdigest()[:24]


def _standing(found: Found) -> str:
    for one in filter(None, (found.order, found.task)):
        kind, status = one["resourceType"], one.get("status")
        if status in TAKES_BACK:
            return TAKES_BACK[status]
        if status not in ASKS[kind]:
            raise Refused([Fault(f"{kind}.status", f"must be one of {', '.join(sorted(ASKS[kind]))} to refer, or take a referral back")])
    return ""


def _patient(site: Site, sent: dict[str, Any]) -> dict[str, Any]:
    names = sorted(sent.get("name", []), key=lambda one: one.get("use") not in (None, "official", "usual"))
    numbers = parts.hospital_numbers(sent, f"{_own(site)}/patient")
    kept = {name: value for name, value in sent.items() if name not in ("identifier", "name", "meta", "text", "extension")}
    return kept | ({"identifier": numbers} if numbers else {}) | ({"name": names} if names else {})


def _order(found: Found, placer: dict[str, str]) -> dict[str, Any]:
    """The order in the one form that the template reads."""
    order = found.order
    made: dict[str, Any] = {
        name: order[name] for name in ("resourceType", "id", "intent", "code", "subject", "authoredOn") if name in order
    }
    typed = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PLAC"}]}
    made |= {"status": "active", "priority": order.get("priority", "routine"), "identifier": [{"type": typed, **placer}]}
    reasons = order.get("reasonCode") or [one["code"] for one in _conditions(found) if "code" in one]
    paid = parts.insurance(order.get("insurance"), found.sent)
    if note := parts.notes(order):
        made["note"] = [{"text": note}]
    return made | ({"reasonCode": reasons[:1]} if reasons else {}) | ({"insurance": [{"display": paid}]} if paid else {})


def _conditions(found: Found) -> list[dict[str, Any]]:
    named = [found.sent.get(str(one.get("reference")), {}) for one in found.order.get("reasonReference", [])]
    return [one for one in named if one.get("resourceType") == "Condition"]


def _completed(site: Site, found: Found, back: ReadBack) -> dict[str, Any]:
    referral = {name: value for name, value in back.record.get("referral", {}).items() if name not in ("id", "status")}
    if back.conflicts:
        raise Refused([Fault("", one) for one in back.conflicts])
    if "requested" not in referral or "treatment" not in referral["requested"]:
        raise Refused([Fault("ServiceRequest.code", "names no treatment of the clinic's table; send one of its codes")])
    who = parts.requester(found.order.get("requester") or found.task.get("requester") or {}, found.sent)
    if "name" not in who:
        raise Refused(
            [Fault("ServiceRequest.requester", "must say who refers: a display, or a Practitioner or Organization that is sent along")]
        )
    referral["requester"] = who
    if (note := next(filter(None, map(parts.notes, _conditions(found))), "")) and "indication" in referral:
        referral["indication"] = {**referral["indication"], "note": note}
    attached = parts.attachments(found.sent, found.task, f"{site.mapping.tables.site['extension']}/sha256")
    return {"patient": _told(back.record.get("patient", {})), "referral": referral | ({"attachments": attached} if attached else {})}


def _told(patient: dict[str, Any]) -> dict[str, Any]:
    """The patient as the hospital tells it; raises `Refused` when nobody could say by it who is meant."""
    if missing := [place for name, place in _TOLD.items() if not (patient.get(name) and isinstance(patient[name], str | list))]:
        raise Refused([Fault(place, "is needed, to tell whose referral it is") for place in missing])
    return {"sex": "unknown", **patient}


def _left_out(found: Found, back: ReadBack) -> Iterator[str]:
    yield from back.residue
    yield from (f"ServiceRequest.{name}: is not part of a referral here" for name in found.order if name not in _READ)
    for index, one in enumerate(found.patient.get("identifier", [])):
        if not parts.is_whole(one):
            yield f"Patient.identifier[{index}]: needs a system and a value to tell a patient"
    if len(found.order.get("reasonCode", [])) > 1:
        yield "ServiceRequest.reasonCode[1]: one reason is read"
