"""The patient, the companion, and what is known of the patient beside the session, written by hand."""

from .names import COMPANION, HL7, INDICATION, OVERUSE, OWN, SYSTEM, Names, Record, Resource, prefix, uid
from .tables import ALLERGY_CERTAINTY, ALLERGY_CLINICAL, CONDITIONS, DRUGS, GENDER, REACTIONS, RELATIONSHIPS, VERIFICATION

_ALLERGY, _OVERUSE_CONDITION = prefix("allergy"), prefix("overuse-condition")


def patient(person: Record, id: str) -> Resource:
    identifier: list[Record] = [
        {"type": {"coding": [{"system": f"{HL7}/v2-0203", "code": "MR"}]}, "system": number["system"], "value": number["value"]}
        for number in person.get("hospital_numbers", ())
    ]
    identifier.append({"system": f"{SYSTEM}/patient", "value": person["id"]})
    made = {
        "resourceType": "Patient",
        "id": id,
        "identifier": identifier,
        "name": [{"family": person["family_name"], "given": person["given_names"]}],
        "gender": GENDER[person["sex"]],
        "birthDate": person["birth_date"],
    }
    telecom = []
    if "phone" in person:
        telecom.append({"system": "phone", "value": person["phone"]})
    if "email" in person:
        telecom.append({"system": "email", "value": person["email"]})
    if telecom:
        made["telecom"] = telecom
    if "address" in person:
        made["address"] = [_address(person["address"])]
    return made


def _address(address: Record) -> Record:
    made = {}
    if "lines" in address:
        made["line"] = address["lines"]
    if "city" in address:
        made["city"] = address["city"]
    if "state" in address:
        made["state"] = address["state"]
    if "postal_code" in address:
        made["postalCode"] = address["postal_code"]
    if "country" in address:
        made["country"] = address["country"]
    return made


def companion(one: Record, names: Names) -> Resource:
    made = {
        "resourceType": "RelatedPerson",
        "id": uid(COMPANION, one["id"]),
        "identifier": [{"system": f"{SYSTEM}/companion", "value": one["id"]}],
        "patient": {"reference": f"Patient/{names.patient}"},
        "relationship": [RELATIONSHIPS[one["relationship"]]],
    }
    if "name" in one:
        made["name"] = [{"text": one["name"]}]
    return made


def allergy(one: Record, names: Names) -> Resource:
    identity = f"{names.session}/{one['id']}"
    made = {
        "resourceType": "AllergyIntolerance",
        "id": uid(_ALLERGY, identity),
        "identifier": [{"system": f"{SYSTEM}/allergy", "value": identity}],
        "verificationStatus": ALLERGY_CERTAINTY[one["certainty"]],
        "type": one["kind"],
        "code": DRUGS[one["drug"]],
        "patient": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "recordedDate": one["recorded_at"],
    }
    if one["certainty"] in ALLERGY_CLINICAL:
        made["clinicalStatus"] = ALLERGY_CLINICAL[one["certainty"]]
    if "criticality" in one:
        made["criticality"] = one["criticality"]
    if "reaction" in one:
        made["reaction"] = [{"manifestation": [REACTIONS[one["reaction"]]]}]
    return made


def indication(record: Record, names: Names) -> Resource:
    one = record["indication"]
    identity = f"{names.session}/indication"
    made = {
        "resourceType": "Condition",
        "id": uid(INDICATION, identity),
        "identifier": [{"system": f"{SYSTEM}/indication", "value": identity}],
        "verificationStatus": VERIFICATION[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/condition-category", "code": "encounter-diagnosis"}]}],
        "code": CONDITIONS[one["condition"]],
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
    }
    if "note" in one:
        made["note"] = [{"text": one["note"]}]
    return made


def overuse_condition(record: Record, names: Names) -> Resource:
    identity = f"{names.session}/overuse"
    return {
        "resourceType": "Condition",
        "id": uid(_OVERUSE_CONDITION, identity),
        "identifier": [{"system": f"{SYSTEM}/overuse", "value": identity}],
        "verificationStatus": VERIFICATION[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/condition-category", "code": "encounter-diagnosis"}]}],
        "code": {
            "coding": [{"system": f"{OWN}/condition", "code": "acute-drug-overuse"}],
            "text": "Overuse of acute headache drugs",
        },
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "evidence": [{"detail": [{"reference": f"Observation/{uid(OVERUSE, identity)}"}]}],
    }
