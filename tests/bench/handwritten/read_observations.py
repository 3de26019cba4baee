"""Readings, scores and the other Observations, read by hand."""

from .names import EXTENSION, HL7, LOINC, OWN, SYSTEM, Record, Resource
from .reader import Session, Stranger, agree, date, expect, extensions, inverse, keys, known, measured, quantity, text, time, word
from .tables import DRUGS, OBSERVATION_STATUS, SURVEY_STATUS
from .write_observations import SCORES, VITALS

_STATE, _DRUG = inverse(OBSERVATION_STATUS), inverse(DRUGS)
_KEYS = keys("identifier status category code subject encounter effectiveDateTime valueQuantity dataAbsentReason")
_PRESSURE_KEYS = keys("identifier status category code subject encounter effectiveDateTime component")
_SCORE_KEYS = _KEYS | {"extension"}
_DAYS_KEYS = keys("identifier status category code subject encounter effectivePeriod valueQuantity")
_OUTCOME_KEYS = keys("identifier status category code subject encounter effectiveDateTime valueString")
_COMPONENT_KEYS = frozenset({"code", "valueQuantity", "dataAbsentReason"})
_VITAL_SIGNS = [{"coding": [{"system": f"{HL7}/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}]
_SURVEY = [{"coding": [{"system": f"{HL7}/observation-category", "code": "survey", "display": "Survey"}]}]
_OXYGEN = {
    "coding": [
        {"system": LOINC, "code": "2708-6", "display": "Oxygen saturation in Arterial blood"},
        {"system": LOINC, "code": "59408-5", "display": "Oxygen saturation in Arterial blood by Pulse oximetry"},
    ]
}
_PRESSURE = {"coding": [{"system": LOINC, "code": "85354-9", "display": "Blood pressure panel with all children optional"}]}
_SIDES = {
    "systolic": {"coding": [{"system": LOINC, "code": "8480-6", "display": "Systolic blood pressure"}]},
    "diastolic": {"coding": [{"system": LOINC, "code": "8462-4", "display": "Diastolic blood pressure"}]},
}
_CODES = {field: {"coding": [{"system": LOINC, "code": row[0], "display": row[1]}]} for field, row in VITALS.items()}
_FIELDS = {row[0]: field for field, row in VITALS.items()}
_SCORE_CODES = {field: {"coding": [{"system": row[0], "code": row[1]}], "text": row[2]} for field, row in SCORES.items()}
_SCORE_FIELDS = {row[1]: field for field, row in SCORES.items()}


def _about(one: Resource, session: Session) -> None:
    if one["subject"] != session.subject or one["encounter"] != session.encounter:
        raise Stranger


def vital(one: Resource, session: Session) -> None:
    code = one["code"]["coding"][0]["code"]
    if code == "85354-9":
        _pressure(one, session)
        return
    known(one, _KEYS)
    field = "oxygen_saturation" if code == "2708-6" else _FIELDS[code]
    expect(one["code"] == (_OXYGEN if code == "2708-6" else _CODES[field]))
    reading = _reading(one, session, field)
    _, _, unit, ucum = VITALS.get(field, ("", "", "%", "%"))
    expect(field not in reading)
    reading[field] = measured(one, unit, ucum)


def _pressure(one: Resource, session: Session) -> None:
    known(one, _PRESSURE_KEYS)
    expect(one["code"] == _PRESSURE)
    reading = _reading(one, session, "blood_pressure")
    found: Record = {}
    for component in one["component"]:
        expect(component.keys() <= _COMPONENT_KEYS)
        side = "systolic" if component["code"] == _SIDES["systolic"] else "diastolic"
        expect(component["code"] == _SIDES[side] and side not in found)
        found[side] = measured(component, "mmHg", "mm[Hg]")
    expect("blood_pressure" not in reading and found != {})
    reading["blood_pressure"] = found


def _reading(one: Resource, session: Session, field: str) -> Record:
    """The reading that an Observation belongs to, after everything that all vital signs have in common."""
    _about(one, session)
    taken_at = time(one["effectiveDateTime"])
    expect(one["category"] == _VITAL_SIGNS)
    expect(one["identifier"] == [{"system": f"{SYSTEM}/vital", "value": f"{session.id}/{taken_at}/{field}"}])
    reading = session.readings.get(taken_at)
    if reading is None:
        reading = session.readings[taken_at] = {"taken_at": taken_at, "state": _STATE[one["status"]]}
    expect(reading["state"] == _STATE[one["status"]])
    return reading


def score(one: Resource, session: Session) -> None:
    known(one, _SCORE_KEYS)
    _about(one, session)
    field, taken_at = _SCORE_FIELDS[one["code"]["coding"][0]["code"]], time(one["effectiveDateTime"])
    ((where, phase),) = extensions(one, EXTENSION).items()
    expect(one["code"] == _SCORE_CODES[field] and one["category"] == _SURVEY and where == ("phase", "valueCode"))
    expect(one["identifier"] == [{"system": f"{SYSTEM}/score", "value": f"{session.id}/{taken_at}/{field}"}])
    symptom = session.symptoms.setdefault(taken_at, {"taken_at": taken_at})
    agree(symptom, "phase", text(phase))
    agree(symptom, "state", _STATE[one["status"]])
    expect(field not in symptom)
    symptom[field] = measured(one, "score", "{score}")


def headache_days(one: Resource, session: Session) -> None:
    known(one, _DAYS_KEYS)
    _final(one, session, "headache-days", {"coding": [_own("headache-days")], "text": "Days with headache"})
    expect(one["effectivePeriod"].keys() == {"start", "end"})
    start, end = date(one["effectivePeriod"]["start"]), date(one["effectivePeriod"]["end"])
    session.record["headache_days"] = {"from": start, "to": end, "days": quantity(one["valueQuantity"], "d", "d")}


def outcome(one: Resource, session: Session) -> None:
    known(one, _OUTCOME_KEYS)
    _final(one, session, "outcome", {"coding": [_own("course-outcome")], "text": "Outcome of the course"})
    session.record["outcome"] = {"text": text(one["valueString"])}
    if "effectiveDateTime" in one:
        agree(session.record, "ended_at", time(one["effectiveDateTime"]))


def overuse(one: Resource, session: Session) -> None:
    known(one, _PRESSURE_KEYS)
    shown = "Days a month on which a headache drug is taken"
    _final(one, session, "overuse", {"coding": [_own("overuse-days")], "text": shown})
    if "effectiveDateTime" in one:
        agree(session.record, "started_at", time(one["effectiveDateTime"]))
    found = {}
    for component in one["component"]:
        expect(component.keys() == {"code", "valueQuantity"})
        drug = word(component["code"], DRUGS, _DRUG)
        expect(drug not in found)
        found[drug] = {"drug": drug, "days_per_month": quantity(component["valueQuantity"], "d", "d")}
    session.record["overused_drugs"] = [found[drug] for drug in sorted(found)]


def _final(one: Resource, session: Session, name: str, code: Record) -> None:
    _about(one, session)
    expect(one["status"] == SURVEY_STATUS[session.record["status"]] and one["category"] == _SURVEY and one["code"] == code)
    expect(one["identifier"] == [{"system": f"{SYSTEM}/{name}", "value": f"{session.id}/{name}"}])


def _own(code: str) -> Record:
    return {"system": f"{OWN}/observation", "code": code}
