"""What was given and what it did, written by hand."""

from typing import Any

from .names import EXTENSION as EXT
from .names import OWN, REACTION_CONDITION, SNOMED, SYSTEM, UCUM, Names, Record, Resource, prefix, referral, uid
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

_STEP, _FLUID, _REACTION = prefix("administration"), prefix("fluid"), prefix("reaction")


def procedure(record: Record, names: Names) -> Resource:
    made: Resource = {
        "resourceType": "Procedure",
        "id": names.procedure,
        "identifier": [{"system": f"{SYSTEM}/infusion", "value": f"{names.session}/infusion"}],
        "status": PROCEDURE_STATUS[record["status"]],
        "code": {"coding": [{"system": SNOMED, "code": "14152002", "display": "Intravenous infusion"}]},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
    }
    if "status_reason" in record:
        made["statusReason"] = REASONS[record["status_reason"]]
    if "started_at" in record or "ended_at" in record:
        made["performedPeriod"] = period(record)
    if "referral" in record:
        made["basedOn"] = referral(record)
    if names.indication:
        made["reasonReference"] = [{"reference": f"Condition/{names.indication}"}]
    return made


def period(one: Record) -> Record:
    made = {}
    if "started_at" in one:
        made["start"] = one["started_at"]
    if "ended_at" in one:
        made["end"] = one["ended_at"]
    return made


def _amount(one: Record) -> Record:
    return {"value": one["value"], "system": UCUM, "code": one["unit"]}


def administration(drug: Record, step: Record, names: Names) -> Resource:
    identity = f"{names.session}/{drug['id']}/{step['started_at']}"
    dosage: dict[str, Any] = {"route": ROUTES[drug["route"]]}
    if "site" in drug:
        dosage["site"] = SITES[drug["site"]]
    if "dose" in step:
        dosage["dose"] = _amount(step["dose"])
    if "rate" in step:
        dosage["rateQuantity"] = _amount(step["rate"])
    made = {
        "resourceType": "MedicationAdministration",
        "id": uid(_STEP, identity),
        "identifier": [
            {"system": f"{SYSTEM}/administration", "value": identity},
            {"system": f"{SYSTEM}/drug", "value": f"{names.session}/{drug['id']}"},
        ],
        "status": ADMINISTRATION_STATUS[drug["state"]],
        "medicationCodeableConcept": DRUGS[drug["drug"]],
        "subject": {"reference": f"Patient/{names.patient}"},
        "context": {"reference": f"Encounter/{names.encounter}"},
        "effectivePeriod": period(step),
        "dosage": dosage,
    }
    if "response" in drug:
        made["extension"] = [{"url": f"{EXT}/response", "valueCode": drug["response"]}]
    if names.procedure:
        made["partOf"] = [{"reference": f"Procedure/{names.procedure}"}]
    if "reason" in drug:
        made["statusReason"] = [REASONS[drug["reason"]]]
    if "for_reaction" in drug:
        reason = {"system": f"{SYSTEM}/reaction", "value": f"{names.session}/{drug['for_reaction']}"}
        made["reasonReference"] = [{"type": "Condition", "identifier": reason}]
    return made


def fluid(one: Record, names: Names) -> Resource:
    identity = f"{names.session}/{one['id']}"
    dosage: dict[str, Any] = {"route": ROUTES[one["route"]], "dose": _amount(one["volume"])}
    if "site" in one:
        dosage["site"] = SITES[one["site"]]
    if "rate" in one:
        dosage["rateQuantity"] = _amount(one["rate"])
    bag: Resource = {"resourceType": "Medication", "id": "bag", "code": FLUIDS[one["fluid"]]}
    if "additives" in one:
        bag["ingredient"] = [
            {
                "itemCodeableConcept": DRUGS[additive["drug"]],
                "strength": {"numerator": _amount(additive["amount"]), "denominator": _amount(one["volume"])},
            }
            for additive in one["additives"]
        ]
    made = {
        "resourceType": "MedicationAdministration",
        "id": uid(_FLUID, identity),
        "contained": [bag],
        "identifier": [{"system": f"{SYSTEM}/drug", "value": identity}],
        "status": ADMINISTRATION_STATUS[one["state"]],
        "medicationReference": {"reference": "#bag"},
        "subject": {"reference": f"Patient/{names.patient}"},
        "context": {"reference": f"Encounter/{names.encounter}"},
        "effectivePeriod": period(one),
        "dosage": dosage,
    }
    if names.procedure:
        made["partOf"] = [{"reference": f"Procedure/{names.procedure}"}]
    if "reason" in one:
        made["statusReason"] = [REASONS[one["reason"]]]
    return made


def reaction(one: Record, names: Names) -> Resource:
    identity = f"{names.session}/{one['id']}"
    made: Resource = {
        "resourceType": "AdverseEvent",
        "id": uid(_REACTION, identity),
        "identifier": {"system": f"{SYSTEM}/reaction", "value": identity},
        "actuality": "actual",
        "event": REACTIONS[one["reaction"]],
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "date": one["started_at"],
        "resultingCondition": [{"reference": f"Condition/{uid(REACTION_CONDITION, identity)}"}],
    }
    if extension := _reaction_extension(one):
        made["extension"] = extension
    if "reported_at" in one:
        made["detected"] = one["reported_at"]
    if "seriousness" in one:
        made["seriousness"] = SERIOUSNESS[one["seriousness"]]
    if "severity" in one:
        made["severity"] = REACTION_SEVERITY[one["severity"]]
    if "outcome" in one:
        made["outcome"] = REACTION_OUTCOME[one["outcome"]]
    if "suspected_drug" in one:
        suspect = {"system": f"{SYSTEM}/drug", "value": f"{names.session}/{one['suspected_drug']}"}
        made["suspectEntity"] = [{"instance": {"type": "MedicationAdministration", "identifier": suspect}}]
    return made


def _reaction_extension(one: Record) -> list[Record]:
    made: list[Record] = []
    if "action" in one:
        made.append({"url": f"{EXT}/action-taken", "valueCode": one["action"]})
    if "ended_at" in one:
        made.append({"url": f"{EXT}/ended-at", "valueDateTime": one["ended_at"]})
    if "note" in one:
        made.append({"url": f"{EXT}/note", "valueString": one["note"]})
    return made


def reaction_condition(record: Record, one: Record, names: Names) -> Resource:
    identity = f"{names.session}/{one['id']}"
    return {
        "resourceType": "Condition",
        "id": uid(REACTION_CONDITION, identity),
        "identifier": [{"system": f"{SYSTEM}/reaction", "value": identity}],
        "verificationStatus": VERIFICATION[record["status"]],
        "category": [
            {"coding": [{"system": f"{OWN}/condition-category", "code": "infusion-reaction"}], "text": "Reaction to an infusion"},
        ],
        "code": REACTIONS[one["reaction"]],
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "onsetDateTime": one["started_at"],
    }
