"""Readings, scores and the other Observations, written by hand."""

from .names import EXTENSION as EXT
from .names import HL7, LOINC, OVERUSE, OWN, SYSTEM, UCUM, Names, Record, Resource, prefix, uid
from .tables import ABSENCE, DRUGS, OBSERVATION_STATUS, SURVEY_STATUS

_VITAL, _OXYGEN, _PRESSURE = prefix("vital-signs"), prefix("oxygen-saturation"), prefix("blood-pressure")
_SCORE, _DAYS, _OUTCOME = prefix("symptom-scores"), prefix("headache-days"), prefix("outcome")
VITALS = {
    "heart_rate": ("8867-4", "Heart rate", "/min", "/min"),
    "respiratory_rate": ("9279-1", "Respiratory rate", "/min", "/min"),
    "temperature": ("8310-5", "Body temperature", "°C", "Cel"),
    "weight": ("29463-7", "Body weight", "kg", "kg"),
    "height": ("8302-2", "Body height", "cm", "cm"),
    "mean_pressure": ("8478-0", "Mean blood pressure", "mmHg", "mm[Hg]"),
}
SCORES = {
    "pain": (LOINC, "72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported"),
    "nausea": (f"{OWN}/observation", "nausea-severity", "Nausea severity 0-10"),
}


def vital(field: str, reading: Record, names: Names) -> Resource:
    loinc, display, unit, code = VITALS[field]
    taken_at, value = reading["taken_at"], reading[field]
    identity = f"{names.session}/{taken_at}/{field}"
    made = {
        "resourceType": "Observation",
        "id": uid(_VITAL, identity),
        "identifier": [{"system": f"{SYSTEM}/vital", "value": identity}],
        "status": OBSERVATION_STATUS[reading["state"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": loinc, "display": display}]},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "effectiveDateTime": taken_at,
    }
    if isinstance(value, dict):
        made["dataAbsentReason"] = ABSENCE[value["absent"]]
    else:
        made["valueQuantity"] = {"value": value, "unit": unit, "system": UCUM, "code": code}
    return made


def oxygen_saturation(reading: Record, names: Names) -> Resource:
    taken_at, value = reading["taken_at"], reading["oxygen_saturation"]
    identity = f"{names.session}/{taken_at}/oxygen_saturation"
    made = {
        "resourceType": "Observation",
        "id": uid(_OXYGEN, identity),
        "identifier": [{"system": f"{SYSTEM}/vital", "value": identity}],
        "status": OBSERVATION_STATUS[reading["state"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {
            "coding": [
                {"system": LOINC, "code": "2708-6", "display": "Oxygen saturation in Arterial blood"},
                {"system": LOINC, "code": "59408-5", "display": "Oxygen saturation in Arterial blood by Pulse oximetry"},
            ]
        },
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "effectiveDateTime": taken_at,
    }
    if isinstance(value, dict):
        made["dataAbsentReason"] = ABSENCE[value["absent"]]
    else:
        made["valueQuantity"] = {"value": value, "unit": "%", "system": UCUM, "code": "%"}
    return made


def blood_pressure(reading: Record, names: Names) -> Resource:
    taken_at, pressure = reading["taken_at"], reading["blood_pressure"]
    identity = f"{names.session}/{taken_at}/blood_pressure"
    component = []
    if "systolic" in pressure:
        component.append(_component("8480-6", "Systolic blood pressure", pressure["systolic"]))
    if "diastolic" in pressure:
        component.append(_component("8462-4", "Diastolic blood pressure", pressure["diastolic"]))
    return {
        "resourceType": "Observation",
        "id": uid(_PRESSURE, identity),
        "identifier": [{"system": f"{SYSTEM}/vital", "value": identity}],
        "status": OBSERVATION_STATUS[reading["state"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
        "code": {"coding": [{"system": LOINC, "code": "85354-9", "display": "Blood pressure panel with all children optional"}]},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "effectiveDateTime": taken_at,
        "component": component,
    }


def _component(loinc: str, display: str, value: object) -> Record:
    made: Record = {"code": {"coding": [{"system": LOINC, "code": loinc, "display": display}]}}
    if isinstance(value, dict):
        made["dataAbsentReason"] = ABSENCE[value["absent"]]
    else:
        made["valueQuantity"] = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
    return made


def score(field: str, symptom: Record, names: Names) -> Resource:
    system, code, text = SCORES[field]
    taken_at, value = symptom["taken_at"], symptom[field]
    identity = f"{names.session}/{taken_at}/{field}"
    made = {
        "resourceType": "Observation",
        "id": uid(_SCORE, identity),
        "extension": [{"url": f"{EXT}/phase", "valueCode": symptom["phase"]}],
        "identifier": [{"system": f"{SYSTEM}/score", "value": identity}],
        "status": OBSERVATION_STATUS[symptom["state"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "survey", "display": "Survey"}]}],
        "code": {"coding": [{"system": system, "code": code}], "text": text},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "effectiveDateTime": taken_at,
    }
    if isinstance(value, dict):
        made["dataAbsentReason"] = ABSENCE[value["absent"]]
    else:
        made["valueQuantity"] = {"value": value, "unit": "score", "system": UCUM, "code": "{score}"}
    return made


def headache_days(record: Record, names: Names) -> Resource:
    days = record["headache_days"]
    identity = f"{names.session}/headache-days"
    return {
        "resourceType": "Observation",
        "id": uid(_DAYS, identity),
        "identifier": [{"system": f"{SYSTEM}/headache-days", "value": identity}],
        "status": SURVEY_STATUS[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "survey", "display": "Survey"}]}],
        "code": {"coding": [{"system": f"{OWN}/observation", "code": "headache-days"}], "text": "Days with headache"},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "effectivePeriod": {"start": days["from"], "end": days["to"]},
        "valueQuantity": {"value": days["days"], "unit": "d", "system": UCUM, "code": "d"},
    }


def outcome(record: Record, names: Names) -> Resource:
    identity = f"{names.session}/outcome"
    made = {
        "resourceType": "Observation",
        "id": uid(_OUTCOME, identity),
        "identifier": [{"system": f"{SYSTEM}/outcome", "value": identity}],
        "status": SURVEY_STATUS[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "survey", "display": "Survey"}]}],
        "code": {"coding": [{"system": f"{OWN}/observation", "code": "course-outcome"}], "text": "Outcome of the course"},
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "valueString": record["outcome"]["text"],
    }
    if "ended_at" in record:
        made["effectiveDateTime"] = record["ended_at"]
    return made


def overuse(record: Record, names: Names) -> Resource:
    identity = f"{names.session}/overuse"
    made = {
        "resourceType": "Observation",
        "id": uid(OVERUSE, identity),
        "identifier": [{"system": f"{SYSTEM}/overuse", "value": identity}],
        "status": SURVEY_STATUS[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/observation-category", "code": "survey", "display": "Survey"}]}],
        "code": {
            "coding": [{"system": f"{OWN}/observation", "code": "overuse-days"}],
            "text": "Days a month on which a headache drug is taken",
        },
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "component": [
            {"code": DRUGS[one["drug"]], "valueQuantity": {"value": one["days_per_month"], "unit": "d", "system": UCUM, "code": "d"}}
            for one in record["overused_drugs"]
        ],
    }
    if "started_at" in record:
        made["effectiveDateTime"] = record["started_at"]
    return made
