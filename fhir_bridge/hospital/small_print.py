"""What vendors' documents say and their CapabilityStatements do not, as rules: each a pure function with its source.

A rule sees one resource, the link we hold for it (None: never sent) and the site file, and answers with what may be sent
(`Send`, perhaps changed) or why not (`Fold`, `Person`, `Wait`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.hospital.parts import Link

Resource = dict[str, Any]
_ORACLE = "Oracle Health Millennium R4 documentation (fhir.cerner.com, docs.oracle.com)"
_EPIC = "Epic on FHIR documentation (fhir.epic.com)"

# Oracle: which Appointment status may follow which, by JSON Patch. There is no way to noshow, and none out of the last two.
ORACLE_TRANSITIONS = {
    "proposed": ("booked", "cancelled"),
    "booked": ("checked-in", "arrived", "cancelled"),
    "arrived": ("fulfilled", "cancelled"),
    "checked-in": ("fulfilled", "cancelled"),
    "fulfilled": (),
    "cancelled": (),
}

# The JSON Patch paths a server takes after the first write, by vendor and type. A type not named here: any path.
PATCHABLE: dict[tuple[str, str], frozenset[str]] = {
    ("oracle", "Encounter"): frozenset({"/period/start", "/period/end", "/type", "/extension"}),
    ("oracle", "Appointment"): frozenset({"/status", "/cancelationReason"}),
}


@dataclass(frozen=True, slots=True)
class Send:
    """It may go, as `resource`; `notes` say what was changed, `setup` what the hospital must have set up."""

    resource: Resource
    notes: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fold:
    """The server takes nothing like it: into the summary."""

    reason: str
    setup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """A person at the hospital has to do it."""

    reason: str
    setup: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: the record is not far enough."""

    reason: str


Ruling = Send | Fold | Person | Wait


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` says what it holds to; `source` where that is written."""

    name: str
    source: str
    apply: Callable[[Resource, Link | None, SiteFile], Ruling]


def rule(vendor: str, resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    """All rules of `vendor` for this resource, one after the other; the first that does not send decides."""
    notes: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    for each in SMALL_PRINT.get((vendor, str(resource["resourceType"])), ()):
        ruling = each.apply(resource, link, site)
        if not isinstance(ruling, Send):
            return ruling
        resource, notes, setup = ruling.resource, notes + ruling.notes, setup + ruling.setup
    return Send(resource, notes, setup)


def transitions(old: str, new: str) -> tuple[str, ...] | None:
    """The statuses to send one after the other to get from `old` to `new` at Oracle; None when there is no way."""
    paths: list[tuple[str, ...]] = [()]
    seen = {old}
    while paths:
        path = paths.pop(0)
        here = path[-1] if path else old
        if here == new:
            return path
        for following in ORACLE_TRANSITIONS.get(here, ()):
            if following not in seen:
                seen.add(following)
                paths.append((*path, following))
    return None


def codes(resource: Resource) -> list[str]:
    """The codes of `resource.code`, in their order."""
    found = resource.get("code")
    codings = found.get("coding", []) if isinstance(found, dict) else []
    return [str(coding["code"]) for coding in codings if isinstance(coding, dict) and "code" in coding]


def _cut(resource: Resource, *names: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in names}


def _oracle_encounter_once(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    status = resource.get("status")
    if link is None and status in ("cancelled", "entered-in-error"):
        return Person(f"an Encounter cannot be created as {status} there; record the cancelled visit by hand if it is wanted")
    if link is None and status != "finished":
        return Wait("an Encounter's status cannot be changed there afterwards, so it is sent once, when it is finished")
    return Send(resource)


def _oracle_encounter_shape(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    if link is not None:
        return Send(resource)
    if not resource.get("type"):
        return Fold("an Encounter needs a type there, and this one has none")
    sent = _cut(resource, "class")
    if place := site.references.get("location"):
        sent = {**_cut(sent, "serviceProvider"), "location": [{"location": {"reference": place}}]}
    elif organization := site.references.get("organization"):
        sent = {**_cut(sent, "location"), "serviceProvider": {"reference": organization}}
    else:
        return Fold("an Encounter needs the hospital's Location or Organization there", (_needs("location", "Encounter"),))
    return Send(sent, ("class is inferred by the server and left out; the hospital's own place is named",))


def _oracle_encounter_identifier(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    return Send(_cut(resource, "identifier"), ("an identifier of ours may not be kept: found again by patient and time",))


def _oracle_observation_value(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    if resource.get("status") not in ("final", "amended", "corrected", "entered-in-error"):
        return Wait("an Observation must be final there")
    if len(resource.get("category") or ()) != 1 or "effectiveDateTime" not in resource:
        return Fold("an Observation needs exactly one category and one point in time there")
    pressure_or_saturation = bool({"85354-9", "2708-6", "59408-5"} & set(codes(resource)))
    if resource.get("component") and not pressure_or_saturation:
        return Fold("components are taken only for blood pressure and oxygen saturation there")
    values = [resource, *resource.get("component", ())] if not resource.get("component") else resource["component"]
    if not all("valueQuantity" in value for value in values):
        return Fold("an Observation needs a quantity there; words, and a missing value with its reason, are not taken")
    return Send(resource)


def _oracle_observation_performer(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    if performer := site.references.get("performer"):
        return Send({**resource, "performer": [{"reference": performer}]}, ("performed by the hospital's own Practitioner",))
    return Fold("an Observation needs a Practitioner of the hospital as performer there", (_needs("performer", "Observation"),))


def _oracle_observation_identifier(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    return Send(_cut(resource, "identifier"), ("no identifier of ours is taken: found again by patient, code, time and value",))


def _oracle_appointment(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    status = str(resource.get("status"))
    if status == "noshow":
        return Person("noshow cannot be set by the interface there; mark the missed appointment by hand")
    if link is not None:
        old = str((link.document or link.sent or {}).get("status", ""))
        if old != status and transitions(old, status) is None:
            return Person(f"an Appointment cannot go from {old or 'an unknown status'} to {status} by the interface there")
        return Send(resource)
    if status not in ("proposed", "booked"):
        return Fold(f"an Appointment is created only as proposed or booked there, not as {status}")
    return _oracle_proposed(resource, site) if status == "proposed" else _oracle_booked(resource, site)


def _oracle_booked(resource: Resource, site: SiteFile) -> Ruling:
    slot = site.references.get("slot")
    slots = [{"reference": slot}] if slot else resource.get("slot") or []
    if len(slots) != 1:
        return Fold("a booked Appointment needs exactly one Slot of the hospital there", (_needs("slot", "Appointment"),))
    people = [_cut(each, "type") for each in resource.get("participant", ()) if _is_patient(each)]
    return Send({**resource, "slot": slots, "participant": people}, ("only the patient takes part, without a participant type",))


def _oracle_proposed(resource: Resource, site: SiteFile) -> Ruling:
    place = site.references.get("location")
    if place is None:
        return Fold("a proposed Appointment needs the hospital's Location there", (_needs("location", "Appointment"),))
    period = resource.get("requestedPeriod") or [{name: resource[name] for name in ("start", "end") if name in resource}]
    if len(period) != 1 or not period[0] or len(resource.get("serviceType") or ()) != 1:
        return Fold("a proposed Appointment needs exactly one service type and one requested period there")
    people = [_cut(each, "type") for each in resource.get("participant", ()) if _is_patient(each)]
    people.append({"actor": {"reference": place}, "status": "needs-action"})
    return Send({**_cut(resource, "start", "end"), "requestedPeriod": period, "participant": people})


def _is_patient(participant: Resource) -> bool:
    actor = participant.get("actor")
    return isinstance(actor, dict) and str(actor.get("reference", "")).startswith("Patient/")


def _epic_flowsheet(resource: Resource, link: Link | None, site: SiteFile) -> Ruling:
    found = codes(resource)
    code = found[0] if found else "a code"
    if site.observation_codes:
        named = site.observation_codes.intersection(found)
        return Send(resource) if named else Fold(f"the hospital has no flowsheet row for {code}; it would refuse every such write (59188)")
    return Send(resource, setup=(f"Epic: one flowsheet row for the Observation code {code}; without it every such write fails (59188)",))


def _needs(role: str, kind: str) -> str:
    return f"the site file needs references.{role}: the hospital's own {role} for {kind}"


SMALL_PRINT: dict[tuple[str, str], tuple[Rule, ...]] = {
    ("oracle", "Encounter"): (
        Rule("an Encounter is sent once, when final", _ORACLE, _oracle_encounter_once),
        Rule("type, and serviceProvider or one location; class is not writable", _ORACLE, _oracle_encounter_shape),
        Rule("no identifier of the client to be found by", _ORACLE, _oracle_encounter_identifier),
    ),
    ("oracle", "Observation"): (
        Rule("final, one category, one time, a quantity", _ORACLE, _oracle_observation_value),
        Rule("a performer of the hospital", _ORACLE, _oracle_observation_performer),
        Rule("no identifier of the client", _ORACLE, _oracle_observation_identifier),
    ),
    ("oracle", "Appointment"): (Rule("created as proposed or booked, then by allowed steps", _ORACLE, _oracle_appointment),),
    ("epic", "Observation"): (Rule("each code needs a flowsheet row", _EPIC, _epic_flowsheet),),
}
