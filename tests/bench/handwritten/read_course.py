"""The session itself, the series it belongs to, and appointments, read by hand."""

from datetime import datetime
from typing import Any

from .names import (
    AGENTS,
    COMPANION,
    EPISODE,
    EXTENSION,
    HL7,
    OWN,
    PLANNED,
    SERIES_APPOINTMENT,
    SNOMED,
    STAY,
    SYSTEM,
    Record,
    Resource,
    referral,
    uid,
)
from .reader import Session, agree, date, expect, extensions, inverse, keys, known, number, period, text, time, word
from .tables import (
    APPOINTMENT_STATUS,
    CANCELLATION_REASONS,
    CARE_PLAN_STATUS,
    COMMUNICATION_STATUS,
    ENCOUNTER_CLASS,
    ENCOUNTER_STATUS,
    EPISODE_STATUS,
    PARTICIPATION_STATUS,
    PLANNED_STATUS,
    REASONS,
    STAY_STATUS,
)

_REASON, _CANCELLED, _SERIES, _APPOINTMENT = (
    inverse(REASONS),
    inverse(CANCELLATION_REASONS),
    inverse(EPISODE_STATUS),
    inverse(APPOINTMENT_STATUS),
)
_ENCOUNTER_KEYS = keys(
    "extension identifier status statusHistory class type serviceType subject episodeOfCare basedOn "
    "participant appointment period diagnosis partOf"
)
_APPOINTMENT_KEYS = keys("extension identifier status appointmentType basedOn start end participant serviceCategory")
_FOLLOW_UP_KEYS = keys(
    "extension identifier status cancelationReason appointmentType supportingInformation start end minutesDuration created participant"
)
_EPISODE_KEYS = keys("identifier status diagnosis patient referralRequest period")
_PLAN_KEYS = keys("identifier status intent description subject encounter addresses activity")
_STAY_KEYS = keys("identifier status class type subject episodeOfCare period")
_CORRECTION_KEYS = keys("target recorded reason activity agent")
_TOLD_KEYS = keys("identifier status category subject encounter sent payload")
_OUTPATIENT = [{"coding": [{"system": SNOMED, "code": "371883000", "display": "Outpatient procedure"}]}]
_INFUSION = {"coding": [{"system": SNOMED, "code": "14152002", "display": "Intravenous infusion"}]}
_WITH, _BY = ([{"coding": [{"system": f"{HL7}/v3-ParticipationType", "code": code}]}] for code in ("PART", "PPRF"))
_SHOWN = {"ROUTINE": "Routine appointment - default if not valued", "FOLLOWUP": "A follow up visit from a previous appointment"}
_KIND = {code: {"coding": [{"system": f"{HL7}/v2-0276", "code": code, "display": shown}]} for code, shown in _SHOWN.items()}
_IN_SERIES = [{"coding": [{"system": f"{OWN}/service-category", "code": "infusion-series"}], "text": "Infusion series"}]
_INPATIENT = {"system": f"{HL7}/v3-ActCode", "code": "IMP", "display": "inpatient encounter"}
_STAY = [{"coding": [{"system": f"{OWN}/encounter-type", "code": "infusion-stay"}], "text": "Hospital stay for an infusion series"}]
_REVISED = {"coding": [{"system": f"{HL7}/v3-DataOperation", "code": "UPDATE", "display": "revise"}]}
_CREATED = {"coding": [{"system": f"{HL7}/v3-DataOperation", "code": "CREATE", "display": "create"}]}
_TOLD = [{"coding": [{"system": f"{HL7}/communication-category", "code": "instruction"}]}]
_PATHS = {
    ("clinic-state", "valueCode"): "status",
    ("record-version", "valuePositiveInt"): "version",
    ("care-setting", "valueCode"): "care_setting",
    ("status-reason", "valueCodeableConcept"): "status_reason",
    ("series-day", "valuePositiveInt"): "day",
    ("series-days", "valuePositiveInt"): "days",
}


def encounter(one: Resource, session: Session) -> None:
    """What the Encounter alone says; its references to other resources are looked at when those have been read."""
    known(one, _ENCOUNTER_KEYS)
    said = {_PATHS[where]: value for where, value in extensions(one, EXTENSION).items()}
    record = session.record
    record |= {"status": said["status"], "version": number(said["version"]), "care_setting": said["care_setting"]}
    expect(one["identifier"] == [{"system": f"{SYSTEM}/session", "value": session.id}])
    expect(one["status"] == ENCOUNTER_STATUS[said["status"]] and one["class"] == ENCOUNTER_CLASS[said["care_setting"]])
    expect(one["type"] == _OUTPATIENT and one["serviceType"] == _INFUSION and one["subject"] == session.subject)
    if "status_reason" in said:
        record["status_reason"] = word(said["status_reason"], REASONS, _REASON)
    if "day" in said:
        record["series"] = {"day": number(said["day"]), "days": number(said["days"])}
    if "period" in one:
        record |= period(one["period"])
    if "basedOn" in one:
        record["referral"] = {"id": text(one["basedOn"][0]["identifier"]["value"])}
        expect(one["basedOn"] == referral(record))
    if "statusHistory" in one:
        record["history"] = sorted(map(_past, one["statusHistory"]), key=lambda past: datetime.fromisoformat(past["started_at"]))
    expect(one.get("diagnosis") == ([{"condition": session.indication}] if session.indication else None))


def _past(one: Record) -> Record:
    expect(one.keys() == {"status", "extension", "period"})
    ((where, status),) = extensions(one, EXTENSION).items()
    expect(where == ("clinic-state", "valueCode") and one["status"] == ENCOUNTER_STATUS[status])
    return {"status": status} | period(one["period"])


def whole(one: Resource, session: Session) -> None:
    """The Encounter's references are those to what the record has, and no others."""
    record = session.record
    series, planned = record.get("series"), f"{session.id}/planned"
    expect(one.get("episodeOfCare") == ([_reference("EpisodeOfCare", EPISODE, series["id"])] if series else None))
    expect(one.get("partOf") == (_reference("Encounter", STAY, series["stay"]["id"]) if series and "stay" in series else None))
    expect(one.get("appointment") == ([_reference("Appointment", PLANNED, planned)] if "planned" in record else None))
    participants = list(one.get("participant", ()))
    if "companion" in record:
        companion = _reference("RelatedPerson", COMPANION, record["companion"]["id"])
        expect(participants.pop(0) == {"type": _WITH, "individual": companion})
    if participants:
        (performer,) = participants
        who = performer["individual"]
        found = {"id": text(who["identifier"]["value"]), "name": text(who["display"])}
        identifier = {"system": f"{SYSTEM}/practitioner", "value": found["id"]}
        expect(performer == {"type": _BY, "individual": {"identifier": identifier, "display": found["name"]}})
        record["performer"] = found


def _reference(kind: str, before: bytes, identity: str) -> Record:
    return {"reference": f"{kind}/{uid(before, identity)}"}


def planned_appointment(one: Resource, session: Session) -> None:
    known(one, _APPOINTMENT_KEYS)
    expect("extension" not in one and "serviceCategory" not in one and one["appointmentType"] == _KIND["ROUTINE"])
    expect(one["identifier"] == [{"system": f"{SYSTEM}/planned", "value": f"{session.id}/planned"}])
    expect(one["status"] == PLANNED_STATUS[session.record["status"]])
    expect(one["participant"] == [{"actor": session.subject, "status": "accepted"}])
    expect(one.get("basedOn") == (referral(session.record) if "referral" in session.record else None))
    session.record["planned"] = {"start": time(one["start"]), "end": time(one["end"])}


def follow_up(one: Resource, subject: Record) -> Record:
    known(one, _FOLLOW_UP_KEYS)
    (identifier,) = one["identifier"]
    found: dict[str, Any] = {"id": text(identifier["value"]), "status": _APPOINTMENT[one["status"]]}
    expect(identifier == {"system": f"{SYSTEM}/appointment", "value": found["id"]} and one["appointmentType"] == _KIND["FOLLOWUP"])
    expect(one["participant"] == [{"actor": subject, "status": PARTICIPATION_STATUS[found["status"]]}])
    for where, value in extensions(one, EXTENSION).items():
        expect(where == ("record-version", "valuePositiveInt"))
        found["version"] = number(value)
    if "cancelationReason" in one:
        found["reason"] = word(one["cancelationReason"], CANCELLATION_REASONS, _CANCELLED)
    for name in ("start", "end", "created"):
        if name in one:
            found[name] = time(one[name])
    if "minutesDuration" in one:
        found["minutes"] = number(one["minutesDuration"])
    return found


def session_of(one: Resource) -> Record | None:
    """The session that a follow-up on its own follows."""
    if "supportingInformation" not in one:
        return None
    (session,) = one["supportingInformation"]
    id = text(session["identifier"]["value"])
    expect(session == {"type": "Encounter", "identifier": {"system": f"{SYSTEM}/session", "value": id}})
    return {"id": id}


def series_appointment(one: Resource, session: Session) -> None:
    known(one, _APPOINTMENT_KEYS)
    (identifier,) = one["identifier"]
    ((where, day),) = extensions(one, EXTENSION).items()
    found = {"day": text(day), "appointment_id": text(identifier["value"]), "status": _APPOINTMENT[one["status"]]}
    expect(where == ("series-day", "valueString") and found["day"] not in session.plan)
    expect(identifier == {"system": f"{SYSTEM}/series-appointment", "value": found["appointment_id"]})
    expect(one["appointmentType"] == _KIND["ROUTINE"] and one["serviceCategory"] == _IN_SERIES)
    expect(one["participant"] == [{"actor": session.subject, "status": PARTICIPATION_STATUS[found["status"]]}])
    session.plan[found["day"]] = found | {"start": time(one["start"]), "end": time(one["end"])}


def episode(one: Resource, session: Session) -> None:
    known(one, _EPISODE_KEYS)
    (identifier,) = one["identifier"]
    series = session.record["series"]
    expect(identifier == {"system": f"{SYSTEM}/series", "value": text(identifier["value"])} and one["patient"] == session.subject)
    expect(one.get("diagnosis") == ([{"condition": session.indication}] if session.indication else None))
    expect(one.get("referralRequest") == (referral(session.record) if "referral" in session.record else None))
    agree(series, "id", identifier["value"])
    agree(series, "status", _SERIES[one["status"]])
    if "period" in one:
        expect(one["period"].keys() <= {"start", "end"})
        series |= {{"start": "started_on", "end": "ended_on"}[key]: date(value) for key, value in one["period"].items()}


def care_plan(one: Resource, session: Session) -> None:
    known(one, _PLAN_KEYS)
    (identifier,) = one["identifier"]
    series = session.record["series"]
    agree(series, "id", text(identifier["value"]))
    expect(identifier == {"system": f"{SYSTEM}/series", "value": series["id"]} and one["intent"] == "plan")
    expect(one["subject"] == session.subject and one["encounter"] == session.encounter)
    expect(one.get("addresses") == ([session.indication] if session.indication else None))
    expect(one["status"] == CARE_PLAN_STATUS[series.setdefault("status", inverse(CARE_PLAN_STATUS)[one["status"]])])
    if "description" in one:
        series["goal"] = text(one["description"])
    for day in one.get("activity", ()):
        expect(day.keys() == {"id", "reference"})
        session.planned.append((text(day["id"]), day["reference"]))


def stay(one: Resource, session: Session) -> None:
    known(one, _STAY_KEYS)
    (identifier,) = one["identifier"]
    series = session.record["series"]
    expect(identifier == {"system": f"{SYSTEM}/stay", "value": text(identifier["value"])} and one["subject"] == session.subject)
    expect(one["class"] == _INPATIENT and one["type"] == _STAY and one["status"] in STAY_STATUS.values())
    series["stay"] = {"id": identifier["value"]} | period(one["period"])


def series_whole(session: Session) -> None:
    """The plan names each planned day, and each planned day has its appointment."""
    series = session.record["series"]
    days = [(day, _reference("Appointment", SERIES_APPOINTMENT, session.plan[day]["appointment_id"])) for day in sorted(session.plan)]
    expect(session.planned == days)
    if days:
        series["plan"] = [session.plan[day] for day, _ in days]


def provenance(one: Resource, session: Session) -> None:
    """Who wrote the session down; with a reason, who corrected it."""
    known(one, _CORRECTION_KEYS)
    expect(one["target"] == [session.encounter] and one["agent"] == AGENTS)
    if "reason" not in one:
        expect(one["activity"] == _CREATED)
        session.record["recorded_at"] = time(one["recorded"])
        return
    (reason,) = one["reason"]
    expect(one["activity"] == _REVISED and reason.keys() == {"text"})
    session.record["correction"] = {"reason": text(reason["text"]), "at": time(one["recorded"])}


def instructions(one: Resource, session: Session) -> None:
    known(one, _TOLD_KEYS)
    expect(one["identifier"] == [{"system": f"{SYSTEM}/instructions", "value": f"{session.id}/instructions"}])
    expect(one["subject"] == session.subject and one["encounter"] == session.encounter)
    expect(one["status"] == COMMUNICATION_STATUS[session.record["status"]] and one["category"] == _TOLD)
    if "sent" in one:
        agree(session.record, "ended_at", time(one["sent"]))
    found = {}
    for payload in one["payload"]:
        expect(payload.keys() == {"id", "contentString"} and payload["id"] not in found)
        found[payload["id"]] = {"id": text(payload["id"]), "text": text(payload["contentString"])}
    session.record["instructions"] = [found[id] for id in sorted(found)]
