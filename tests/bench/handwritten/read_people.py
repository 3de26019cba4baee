"""The patient, the companion, and what is known of the patient beside the session, read by hand."""

from .names import HL7, OVERUSE, OWN, SYSTEM, Record, Resource, uid
from .reader import Session, date, expect, inverse, keys, known, text, time, word
from .tables import ALLERGY_CERTAINTY, ALLERGY_CLINICAL, CONDITIONS, DRUGS, GENDER, REACTIONS, RELATIONSHIPS, VERIFICATION

_CERTAINTY, _CONDITION, _DRUG, _SEX = inverse(ALLERGY_CERTAINTY), inverse(CONDITIONS), inverse(DRUGS), inverse(GENDER)
_REACTION, _RELATION = inverse(REACTIONS), inverse(RELATIONSHIPS)
_PATIENT_KEYS = keys("identifier name gender birthDate telecom address")
_COMPANION_KEYS = keys("identifier patient relationship name")
_ALLERGY_KEYS = keys("identifier clinicalStatus verificationStatus type code patient encounter recordedDate criticality reaction")
_INDICATION_KEYS = keys("identifier verificationStatus category code subject encounter note")
_OVERUSE_KEYS = keys("identifier verificationStatus category code subject encounter evidence")
_MR = {"coding": [{"system": f"{HL7}/v2-0203", "code": "MR"}]}
_DIAGNOSIS = [{"coding": [{"system": f"{HL7}/condition-category", "code": "encounter-diagnosis"}]}]
_TOO_MUCH = {"coding": [{"system": f"{OWN}/condition", "code": "acute-drug-overuse"}], "text": "Overuse of acute headache drugs"}
_ADDRESS = {"line": "lines", "city": "city", "state": "state", "postalCode": "postal_code", "country": "country"}


def patient(one: Resource) -> Record:
    known(one, _PATIENT_KEYS)
    (name,) = one["name"]
    expect(name.keys() == {"family", "given"})
    own = f"{SYSTEM}/patient"
    (id,) = (number["value"] for number in one["identifier"] if number["system"] == own and number.keys() == {"system", "value"})
    found: Record = {"id": text(id), "family_name": text(name["family"]), "given_names": _texts(name["given"])}
    found |= {"birth_date": date(one["birthDate"]), "sex": _SEX[one["gender"]]}
    if numbers := [_number(number) for number in one["identifier"] if number["system"] != own]:
        found["hospital_numbers"] = sorted(numbers, key=lambda number: number["system"])
    for contact in one.get("telecom", ()):
        expect(contact.keys() == {"system", "value"} and contact["system"] in ("phone", "email") and contact["system"] not in found)
        found[contact["system"]] = text(contact["value"])
    if "address" in one:
        (address,) = one["address"]
        found["address"] = {_ADDRESS[key]: _texts(value) if key == "line" else text(value) for key, value in address.items()}
    return found


def _texts(values: list[str]) -> list[str]:
    expect(isinstance(values, list) and values != [])
    return [text(value) for value in values]


def _number(number: Record) -> Record:
    expect(number.keys() == {"type", "system", "value"} and number["type"] == _MR)
    return {"system": text(number["system"]), "value": text(number["value"])}


def companion(one: Resource, session: Session) -> None:
    known(one, _COMPANION_KEYS)
    (identifier,), (relation,) = one["identifier"], one["relationship"]
    expect(one["patient"] == session.subject and identifier == {"system": f"{SYSTEM}/companion", "value": identifier["value"]})
    found = {"id": text(identifier["value"]), "relationship": word(relation, RELATIONSHIPS, _RELATION)}
    if "name" in one:
        (name,) = one["name"]
        expect(name.keys() == {"text"})
        found["name"] = text(name["text"])
    session.record["companion"] = found


def allergy(one: Resource, session: Session) -> None:
    known(one, _ALLERGY_KEYS)
    (identifier,) = one["identifier"]
    id = text(identifier["value"]).removeprefix(f"{session.id}/")
    expect(identifier == {"system": f"{SYSTEM}/allergy", "value": f"{session.id}/{id}"} and id != "")
    certainty = word(one["verificationStatus"], ALLERGY_CERTAINTY, _CERTAINTY)
    expect(one["patient"] == session.subject and one["encounter"] == session.encounter)
    expect(one.get("clinicalStatus") == ALLERGY_CLINICAL.get(certainty))
    found = {"id": id, "drug": word(one["code"], DRUGS, _DRUG), "kind": text(one["type"]), "recorded_at": time(one["recordedDate"])}
    found["certainty"] = certainty
    if "criticality" in one:
        found["criticality"] = text(one["criticality"])
    if "reaction" in one:
        ((manifestation,),) = (one["reaction"][0]["manifestation"],)
        expect(one["reaction"] == [{"manifestation": [manifestation]}])
        found["reaction"] = word(manifestation, REACTIONS, _REACTION)
    session.record.setdefault("allergies", []).append(found)


def indication(one: Resource, session: Session) -> None:
    known(one, _INDICATION_KEYS)
    _condition(one, session, "indication")
    found = {"condition": word(one["code"], CONDITIONS, _CONDITION)}
    if "note" in one:
        (note,) = one["note"]
        expect(note.keys() == {"text"})
        found["note"] = text(note["text"])
    session.record["indication"] = found


def overuse_condition(one: Resource, session: Session) -> None:
    """Repeats what the Observation of the days says."""
    known(one, _OVERUSE_KEYS)
    _condition(one, session, "overuse")
    expect(one["code"] == _TOO_MUCH)
    expect(one["evidence"] == [{"detail": [{"reference": f"Observation/{uid(OVERUSE, f'{session.id}/overuse')}"}]}])


def _condition(one: Resource, session: Session, name: str) -> None:
    expect(one["subject"] == session.subject and one["encounter"] == session.encounter)
    expect(one["verificationStatus"] == VERIFICATION[session.record["status"]] and one["category"] == _DIAGNOSIS)
    expect(one["identifier"] == [{"system": f"{SYSTEM}/{name}", "value": f"{session.id}/{name}"}])
