"""What was given and what it did, read by hand."""

from typing import Any

from .names import EXTENSION, OWN, REACTION_CONDITION, SNOMED, SYSTEM, Record, Resource, referral, uid
from .reader import Session, agree, amount, expect, extensions, inverse, keys, known, period, text, time, word
from .tables import (
    ADMINISTRATION_STATUS,
    DRUGS,
    FLUIDS,
    PROCEDURE_STATUS,
    REACTION_OUTCOME,
    REACTION_SEVERITY,
    REACTIONS,
    REASONS,
    ROUTES,
    SERIOUSNESS,
    SITES,
    VERIFICATION,
)

_STATE, _DRUG, _FLUID, _REASON = inverse(ADMINISTRATION_STATUS), inverse(DRUGS), inverse(FLUIDS), inverse(REASONS)
_ROUTE, _SITE, _REACTION = inverse(ROUTES), inverse(SITES), inverse(REACTIONS)
_SERIOUSNESS, _SEVERITY, _OUTCOME = inverse(SERIOUSNESS), inverse(REACTION_SEVERITY), inverse(REACTION_OUTCOME)
_PROCEDURE_KEYS = keys("identifier basedOn status statusReason code subject encounter performedPeriod reasonReference")
_STEP_KEYS = keys(
    "extension identifier partOf status statusReason medicationCodeableConcept subject context effectivePeriod reasonReference dosage"
)
_BAG_KEYS = keys("contained identifier partOf status statusReason medicationReference subject context effectivePeriod dosage")
_DOSAGE_KEYS = frozenset({"route", "site", "dose", "rateQuantity"})
_EVENT_KEYS = keys(
    "extension identifier actuality event subject encounter date detected resultingCondition seriousness severity outcome suspectEntity"
)
_CONDITION_KEYS = keys("identifier verificationStatus category code subject encounter onsetDateTime")
_INFUSION = {"coding": [{"system": SNOMED, "code": "14152002", "display": "Intravenous infusion"}]}
_BECAUSE_OF_INFUSION = [
    {"coding": [{"system": f"{OWN}/condition-category", "code": "infusion-reaction"}], "text": "Reaction to an infusion"}
]
_EXTENSIONS = {
    ("action-taken", "valueCode"): "action",
    ("ended-at", "valueDateTime"): "ended_at",
    ("note", "valueString"): "note",
}


def procedure(one: Resource, session: Session) -> None:
    known(one, _PROCEDURE_KEYS)
    expect(one["subject"] == session.subject and one["encounter"] == session.encounter and one["code"] == _INFUSION)
    expect(one["identifier"] == [{"system": f"{SYSTEM}/infusion", "value": f"{session.id}/infusion"}])
    expect(one["status"] == PROCEDURE_STATUS[session.record["status"]])
    expect(one.get("basedOn") == (referral(session.record) if "referral" in session.record else None))
    if "statusReason" in one:
        agree(session.record, "status_reason", word(one["statusReason"], REASONS, _REASON))
    for name, value in period(one["performedPeriod"]).items() if "performedPeriod" in one else ():
        agree(session.record, name, value)
    expect(one.get("reasonReference") == ([session.indication] if session.indication else None))


def _dosage(one: Record) -> tuple[Record, Record]:
    """How it was given, and how much of it."""
    expect(one.keys() <= _DOSAGE_KEYS)
    way = {"route": word(one["route"], ROUTES, _ROUTE)}
    if "site" in one:
        way["site"] = word(one["site"], SITES, _SITE)
    amounts = {}
    if "dose" in one:
        amounts["dose"] = amount(one["dose"])
    if "rateQuantity" in one:
        amounts["rate"] = amount(one["rateQuantity"])
    return way, amounts


def _given(one: Resource, session: Session) -> Record:
    """What a drug and a bag have in common."""
    expect(one["subject"] == session.subject and one["context"] == session.encounter)
    expect(one.get("partOf") == ([session.procedure] if session.procedure else None))
    found = {"state": _STATE[one["status"]]}
    if "statusReason" in one:
        (reason,) = one["statusReason"]
        found["reason"] = word(reason, REASONS, _REASON)
    return found


def administration(one: Resource, session: Session) -> None:
    known(one, _STEP_KEYS)
    given, step = _given(one, session), period(one["effectivePeriod"])
    way, amounts = _dosage(one["dosage"])
    own, of_drug = one["identifier"]
    id = text(of_drug["value"]).removeprefix(f"{session.id}/")
    expect(of_drug == {"system": f"{SYSTEM}/drug", "value": f"{session.id}/{id}"} and id != "")
    expect(own == {"system": f"{SYSTEM}/administration", "value": f"{session.id}/{id}/{step['started_at']}"})
    drug: dict[str, Any] = {"id": id, "drug": word(one["medicationCodeableConcept"], DRUGS, _DRUG)} | given | way
    for where, value in extensions(one, EXTENSION).items():
        expect(where == ("response", "valueCode"))
        drug["response"] = text(value)
    if "reasonReference" in one:
        drug["for_reaction"] = _known_as(one["reasonReference"], session, "Condition", "reaction")
    same = session.drugs.setdefault(id, drug | {"steps": []})
    expect({name: value for name, value in same.items() if name != "steps"} == drug)
    same["steps"].append(step | amounts)


def _known_as(references: list[Record], session: Session, kind: str, name: str) -> str:
    (reference,) = references
    id = text(reference["identifier"]["value"]).removeprefix(f"{session.id}/")
    expect(reference == {"type": kind, "identifier": {"system": f"{SYSTEM}/{name}", "value": f"{session.id}/{id}"}})
    return text(id)


def fluid(one: Resource, session: Session) -> None:
    known(one, _BAG_KEYS)
    found, (bag,) = _given(one, session), one["contained"]
    way, amounts = _dosage(one["dosage"])
    (identifier,) = one["identifier"]
    id = text(identifier["value"]).removeprefix(f"{session.id}/")
    expect(identifier == {"system": f"{SYSTEM}/drug", "value": f"{session.id}/{id}"} and id != "")
    expect(one["medicationReference"] == {"reference": "#bag"} and bag["resourceType"] == "Medication" and bag["id"] == "bag")
    expect(bag.keys() <= {"resourceType", "id", "code", "ingredient"})
    found |= {"id": id, "fluid": word(bag["code"], FLUIDS, _FLUID)} | period(one["effectivePeriod"]) | way
    found["volume"] = amounts.pop("dose")
    if "ingredient" in bag:
        found["additives"] = sorted((_additive(item, found["volume"]) for item in bag["ingredient"]), key=lambda item: str(item["drug"]))
    session.record.setdefault("fluids", []).append(found | amounts)


def _additive(item: Record, volume: Record) -> Record:
    strength = item["strength"]
    expect(item.keys() == {"itemCodeableConcept", "strength"} and strength.keys() == {"numerator", "denominator"})
    expect(amount(strength["denominator"]) == volume)
    return {"drug": word(item["itemCodeableConcept"], DRUGS, _DRUG), "amount": amount(strength["numerator"])}


def _reaction(one: Resource, identifier: Record, session: Session) -> Record:
    id = text(identifier["value"]).removeprefix(f"{session.id}/")
    expect(identifier == {"system": f"{SYSTEM}/reaction", "value": f"{session.id}/{id}"} and id != "")
    expect(one["subject"] == session.subject and one["encounter"] == session.encounter)
    return session.reactions.setdefault(id, {"id": id})


def reaction_condition(one: Resource, session: Session) -> None:
    known(one, _CONDITION_KEYS)
    (identifier,) = one["identifier"]
    found = _reaction(one, identifier, session)
    expect(one["category"] == _BECAUSE_OF_INFUSION and one["verificationStatus"] == VERIFICATION[session.record["status"]])
    agree(found, "reaction", word(one["code"], REACTIONS, _REACTION))
    agree(found, "started_at", time(one["onsetDateTime"]))


def reaction(one: Resource, session: Session) -> None:
    known(one, _EVENT_KEYS)
    found = _reaction(one, one["identifier"], session)
    expect(one["actuality"] == "actual")
    expect(one["resultingCondition"] == [{"reference": f"Condition/{uid(REACTION_CONDITION, one['identifier']['value'])}"}])
    agree(found, "reaction", word(one["event"], REACTIONS, _REACTION))
    agree(found, "started_at", time(one["date"]))
    for where, value in extensions(one, EXTENSION).items():
        found[_EXTENSIONS[where]] = time(value) if where[0] == "ended-at" else text(value)
    if "detected" in one:
        found["reported_at"] = time(one["detected"])
    if "seriousness" in one:
        found["seriousness"] = word(one["seriousness"], SERIOUSNESS, _SERIOUSNESS)
    if "severity" in one:
        found["severity"] = word(one["severity"], REACTION_SEVERITY, _SEVERITY)
    if "outcome" in one:
        found["outcome"] = word(one["outcome"], REACTION_OUTCOME, _OUTCOME)
    if "suspectEntity" in one:
        (suspect,) = one["suspectEntity"]
        expect(suspect.keys() == {"instance"})
        found["suspected_drug"] = _known_as([suspect["instance"]], session, "MedicationAdministration", "drug")
