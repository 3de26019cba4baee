"""What a schema can't say of a whole resource: the invariants of R4 that bite here, each with the id R4 gives it.

`us-…` ids are our own, for what R4 has no invariant.
A rule takes a resource that the schema accepts and yields (path below it, message). Rules are looked up by type, so that a
resource pays only for its own. Warnings of R4 (dom-6, con-3) are no faults.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from fhir_bridge.fhir.datatypes import ends_before_start
from fhir_bridge.fhir.elements import children
from fhir_bridge.fhir.times import is_after

Broken: TypeAlias = tuple[str, str]
Rule = Callable[[Mapping[str, Any]], Iterator[Broken]]

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_UNTIMED = frozenset({"proposed", "cancelled", "waitlist"})
_ENDED = frozenset({"inactive", "resolved", "remission"})


def broken_rules(resource: Mapping[str, Any], *, sending: bool) -> Iterator[Broken]:
    """Every rule of its type that a resource breaks, and those on what it contains; `sending` adds our own."""
    for rule in RULES.get(resource["resourceType"], ()):
        yield from rule(resource)
    if sending and resource["resourceType"] == "Encounter":
        yield from _encounter(resource)
    if "contained" in resource:
        yield from _contained(resource)


def _observation(it: Mapping[str, Any]) -> Iterator[Broken]:
    valued = _has_choice(it, "Observation", "value[x]")
    if valued and "dataAbsentReason" in it:
        yield "dataAbsentReason", "must not be there beside a value (obs-6)"
    if valued and "component" in it and _repeats_code(it):
        yield "component", "must not repeat the code that has the value; leave one of them out (obs-7)"
    for index, referred in enumerate(it.get("referenceRange", ())):
        if not {"low", "high", "text"} & referred.keys():
            yield f"referenceRange[{index}]", "needs a low, a high or a text (obs-3)"
    if has_coding(it.get("category"), f"{_TERMINOLOGY}/observation-category", {"vital-signs"}):
        yield from _vital_sign(it, valued=valued)


def _vital_sign(it: Mapping[str, Any], *, valued: bool) -> Iterator[Broken]:
    if len(it.get("effectiveDateTime", "2000-01-01")) < len("2000-01-01"):
        yield "effectiveDateTime", "must be known at least to the day in a vital sign (vs-1)"
    if not (valued or {"component", "hasMember", "dataAbsentReason"} & it.keys()):
        yield "", "needs a value or a dataAbsentReason, being a vital sign (vs-2)"
    for index, component in enumerate(it.get("component", ())):
        if not (_has_choice(component, "Observation.component", "value[x]") or "dataAbsentReason" in component):
            yield f"component[{index}]", "needs a value or a dataAbsentReason, being of a vital sign (vs-3)"


def _appointment(it: Mapping[str, Any]) -> Iterator[Broken]:
    status = it.get("status")
    if ("start" in it) != ("end" in it):
        yield "", "must have start and end, or neither (app-2)"
    if status not in _UNTIMED and not {"start", "end"} <= it.keys():
        yield "", f"needs start and end; only {', '.join(sorted(_UNTIMED))} may lack them (app-3)"
    if "cancelationReason" in it and status != "cancelled":
        yield "cancelationReason", "belongs to cancelled alone: as R4 is published, a noshow must not have one (app-4)"
    for index, participant in enumerate(it.get("participant", ())):
        if not {"type", "actor"} & participant.keys():
            yield f"participant[{index}]", "needs a type or an actor (app-1)"
    yield from _ordered(it)


def _ordered(it: Mapping[str, Any]) -> Iterator[Broken]:
    if ends_before_start(it):
        yield "end", "must not be before start (us-order)"


def _encounter(it: Mapping[str, Any]) -> Iterator[Broken]:
    """R4 has no invariant on Encounter, and its own examples break these; of ours, each says when the day began and ended."""
    period = it.get("period", {})
    if it.get("status") == "finished" and not _said(period, "end"):
        yield "period.end", "is required when the encounter is finished (us-encounter-1)"
    if it.get("status") == "in-progress" and not _said(period, "start"):
        yield "period.start", "is required when the encounter is in progress (us-encounter-2)"
    if it.get("status") == "in-progress" and "end" in period:
        yield "period.end", "must not be there while the encounter is in progress (us-encounter-2)"


def _allergy(it: Mapping[str, Any]) -> Iterator[Broken]:
    mistaken = has_coding([it.get("verificationStatus")], f"{_TERMINOLOGY}/allergyintolerance-verification", {"entered-in-error"})
    if not mistaken and "clinicalStatus" not in it:
        yield "clinicalStatus", "is required unless verificationStatus is entered-in-error (ait-1)"
    if mistaken and "clinicalStatus" in it:
        yield "clinicalStatus", "must not be there when verificationStatus is entered-in-error (ait-2)"


def _condition(it: Mapping[str, Any]) -> Iterator[Broken]:
    if _has_choice(it, "Condition", "abatement[x]") and not has_coding(
        [it.get("clinicalStatus")], f"{_TERMINOLOGY}/condition-clinical", _ENDED
    ):
        yield "clinicalStatus", "must be inactive, resolved or remission when the condition has abated (con-4)"
    mistaken = has_coding([it.get("verificationStatus")], f"{_TERMINOLOGY}/condition-ver-status", {"entered-in-error"})
    if mistaken and "clinicalStatus" in it:
        yield "clinicalStatus", "must not be there when verificationStatus is entered-in-error (con-5)"
    yield from _each(it, "stage", {"summary", "assessment"}, "needs a summary or an assessment (con-1)")
    yield from _each(it, "evidence", {"code", "detail"}, "needs a code or a detail (con-2)")


def _administration(it: Mapping[str, Any]) -> Iterator[Broken]:
    dosage = it.get("dosage")
    if dosage is not None and "dose" not in dosage and not _has_choice(dosage, "MedicationAdministration.dosage", "rate[x]"):
        yield "dosage", "needs a dose or a rate (mad-1)"


def _task(it: Mapping[str, Any]) -> Iterator[Broken]:
    if "lastModified" in it and "authoredOn" in it and is_after(it["authoredOn"], it["lastModified"]):
        yield "lastModified", "must not be before authoredOn (inv-1)"


def _patient(it: Mapping[str, Any]) -> Iterator[Broken]:
    wanted = {"name", "telecom", "address", "organization"}
    yield from _each(it, "contact", wanted, "needs a name, telecom, address or organization (pat-1)")


def _order(it: Mapping[str, Any]) -> Iterator[Broken]:
    if "orderDetail" in it and "code" not in it:
        yield "code", "is required when there is an orderDetail (prr-1)"


def _care_plan(it: Mapping[str, Any]) -> Iterator[Broken]:
    for index, activity in enumerate(it.get("activity", ())):
        if {"detail", "reference"} <= activity.keys():
            yield f"activity[{index}]", "must have a detail or a reference, not both (cpl-3)"


def _organization(it: Mapping[str, Any]) -> Iterator[Broken]:
    if not {"identifier", "name"} & it.keys():
        yield "", "needs a name or an identifier (org-1)"


def _answer(it: Mapping[str, Any]) -> Iterator[Broken]:
    if not {"participantType", "actor"} & it.keys():
        yield "", "needs a participantType or an actor (apr-1)"


def _goal(it: Mapping[str, Any]) -> Iterator[Broken]:
    for index, target in enumerate(it.get("target", ())):
        if _has_choice(target, "Goal.target", "detail[x]") and "measure" not in target:
            yield f"target[{index}].measure", "is required when there is a detail (gol-1)"


def _bundle(it: Mapping[str, Any]) -> Iterator[Broken]:
    kind, entries = it.get("type"), it.get("entry", ())
    asks, answers = kind in ("batch", "transaction"), kind in ("batch-response", "transaction-response")
    if "total" in it and kind not in ("searchset", "history"):
        yield "total", "belongs to a searchset or a history (bdl-1)"
    if kind == "message" and not (entries and entries[0].get("resource", {}).get("resourceType") == "MessageHeader"):
        yield "entry[0]", "must be a MessageHeader, the bundle being a message (bdl-12)"
    for index, entry in enumerate(entries):
        at = f"entry[{index}]"
        if "search" in entry and kind != "searchset":
            yield f"{at}.search", "belongs to a searchset (bdl-2)"
        if ("request" in entry) != (asks or kind == "history"):
            yield f"{at}.request", "belongs to every entry of a batch, transaction or history, and to no other (bdl-3)"
        if ("response" in entry) != (answers or kind == "history"):
            yield f"{at}.response", "belongs to every entry of a response or history, and to no other (bdl-4)"
        if not {"resource", "request", "response"} & entry.keys():
            yield at, "needs a resource, a request or a response (bdl-5)"
    if kind != "history":
        yield from _doubled(entries)


def _doubled(entries: Sequence[Mapping[str, Any]]) -> Iterator[Broken]:
    keys = [(e["fullUrl"], str(_meta(e.get("resource", {})).get("versionId"))) for e in entries if "fullUrl" in e]
    if any(count > 1 for count in Counter(keys).values()):
        yield "entry", "must not have the same fullUrl and version twice (bdl-7)"


def _contained(it: Mapping[str, Any]) -> Iterator[Broken]:
    """dom-2 to dom-5. A contained resource is wanted when anything here points to it, or it points to what holds it."""
    pointers = set(_pointers({key: value for key, value in it.items() if key != "contained"}))
    for index, one in enumerate(it["contained"]):
        at = f"contained[{index}]"
        others = (other for other in it["contained"] if other is not one)
        wanted = f"#{one.get('id')}" in pointers or "#" in _pointers(one) or f"#{one.get('id')}" in _pointers(list(others))
        if not wanted:
            yield at, "must be referenced from the resource that holds it (dom-3)"
        if "contained" in one:
            yield f"{at}.contained", "must not be there: what is contained contains nothing (dom-2)"
        if {"versionId", "lastUpdated"} & _meta(one).keys():
            yield f"{at}.meta", "must not have versionId or lastUpdated (dom-4)"


def _meta(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The meta of a resource inside, which no schema has looked at yet."""
    meta = resource.get("meta")
    return meta if isinstance(meta, dict) else {}


def _pointers(node: object) -> Iterator[str]:
    """Every text that begins with # where a reference, canonical, uri or url may stand."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _pointers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _pointers(value)
    elif isinstance(node, str) and node.startswith("#"):
        yield node


def _each(it: Mapping[str, Any], name: str, wanted: set[str], message: str) -> Iterator[Broken]:
    for index, part in enumerate(it.get(name, ())):
        if not wanted & part.keys():
            yield f"{name}[{index}]", message


def _repeats_code(it: Mapping[str, Any]) -> bool:
    own = it["code"].get("coding", ())
    return any(coding in own for component in it["component"] for coding in component["code"].get("coding", ()))


def has_coding(concepts: Any, system: str, codes: frozenset[str] | set[str]) -> bool:
    """True when one of the CodeableConcepts (or Nones) has a coding of `system` with one of `codes`."""
    for concept in concepts or ():
        for coding in (concept or {}).get("coding", ()):
            if coding.get("code") in codes and coding.get("system") == system:
                return True
    return False


def _has_choice(it: Mapping[str, Any], part: str, choice: str) -> bool:
    """True when an object of the type `part` has any spelling of `choice` (`value[x]`), be it only its extension."""
    return not _spellings(part, choice).isdisjoint(it)


@cache
def _spellings(part: str, choice: str) -> frozenset[str]:
    return frozenset(name for name, element in children(part).items() if element.choice == choice)


def _said(it: Mapping[str, Any], name: str) -> bool:
    return name in it or f"_{name}" in it


RULES: dict[str, tuple[Rule, ...]] = {
    "AllergyIntolerance": (_allergy,),
    "Appointment": (_appointment,),
    "AppointmentResponse": (_answer, _ordered),
    "Bundle": (_bundle,),
    "CarePlan": (_care_plan,),
    "Condition": (_condition,),
    "Goal": (_goal,),
    "MedicationAdministration": (_administration,),
    "Observation": (_observation,),
    "Organization": (_organization,),
    "Patient": (_patient,),
    "ServiceRequest": (_order,),
    "Slot": (_ordered,),
    "Task": (_task,),
}
