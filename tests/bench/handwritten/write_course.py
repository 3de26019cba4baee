"""The session itself, the series it belongs to, and appointments, written by hand."""

from .names import (
    AGENTS,
    COMPANION,
    EPISODE,
    HL7,
    LOINC,
    OWN,
    PLANNED,
    SERIES_APPOINTMENT,
    SNOMED,
    STAY,
    SYSTEM,
    Names,
    Record,
    Resource,
    prefix,
    referral,
    uid,
)
from .names import EXTENSION as EXT
from .tables import (
    APPOINTMENT_STATUS,
    CANCELLATION_REASONS,
    CARE_PLAN_STATUS,
    COMMUNICATION_STATUS,
    DOCUMENT_STATE,
    DOCUMENT_STATUS,
    ENCOUNTER_CLASS,
    ENCOUNTER_STATUS,
    EPISODE_STATUS,
    PARTICIPATION_STATUS,
    PLANNED_STATUS,
    REASONS,
    STAY_STATUS,
)
from .write_treatment import period

_FOLLOW_UP, _PLAN, _CORRECTION = prefix("follow-up"), prefix("care-plan"), prefix("correction")
_TOLD, _SUMMARY, _RECORDED = prefix("instructions"), prefix("summary"), prefix("provenance")


def encounter(record: Record, names: Names) -> Resource:
    made: Resource = {
        "resourceType": "Encounter",
        "id": names.encounter,
        "extension": _extension(record),
        "identifier": [{"system": f"{SYSTEM}/session", "value": names.session}],
        "status": ENCOUNTER_STATUS[record["status"]],
        "class": ENCOUNTER_CLASS[record["care_setting"]],
        "type": [{"coding": [{"system": SNOMED, "code": "371883000", "display": "Outpatient procedure"}]}],
        "serviceType": {"coding": [{"system": SNOMED, "code": "14152002", "display": "Intravenous infusion"}]},
        "subject": {"reference": f"Patient/{names.patient}"},
    }
    if "series" in record:
        made["episodeOfCare"] = [{"reference": f"EpisodeOfCare/{uid(EPISODE, record['series']['id'])}"}]
        if "stay" in record["series"]:
            made["partOf"] = {"reference": f"Encounter/{uid(STAY, record['series']['stay']['id'])}"}
    if "referral" in record:
        made["basedOn"] = referral(record)
    if "history" in record:
        made["statusHistory"] = [_past(past) for past in record["history"]]
    if participant := _participant(record):
        made["participant"] = participant
    if "planned" in record:
        made["appointment"] = [{"reference": f"Appointment/{uid(PLANNED, f'{names.session}/planned')}"}]
    if "started_at" in record or "ended_at" in record:
        made["period"] = period(record)
    if names.indication:
        made["diagnosis"] = [{"condition": {"reference": f"Condition/{names.indication}"}}]
    return made


def _past(past: Record) -> Record:
    return {
        "status": ENCOUNTER_STATUS[past["status"]],
        "extension": [{"url": f"{EXT}/clinic-state", "valueCode": past["status"]}],
        "period": period(past),
    }


def _extension(record: Record) -> list[Record]:
    made: list[Record] = [
        {"url": f"{EXT}/clinic-state", "valueCode": record["status"]},
        {"url": f"{EXT}/record-version", "valuePositiveInt": record["version"]},
        {"url": f"{EXT}/care-setting", "valueCode": record["care_setting"]},
    ]
    if "status_reason" in record:
        made.append({"url": f"{EXT}/status-reason", "valueCodeableConcept": REASONS[record["status_reason"]]})
    if "series" in record:
        made.append({"url": f"{EXT}/series-day", "valuePositiveInt": record["series"]["day"]})
        made.append({"url": f"{EXT}/series-days", "valuePositiveInt": record["series"]["days"]})
    return made


def _participant(record: Record) -> list[Record]:
    made: list[Record] = []
    if "companion" in record:
        reference = {"reference": f"RelatedPerson/{uid(COMPANION, record['companion']['id'])}"}
        made.append({"type": [{"coding": [{"system": f"{HL7}/v3-ParticipationType", "code": "PART"}]}], "individual": reference})
    if "performer" in record:
        performer = record["performer"]
        individual = {"identifier": {"system": f"{SYSTEM}/practitioner", "value": performer["id"]}, "display": performer["name"]}
        made.append({"type": [{"coding": [{"system": f"{HL7}/v3-ParticipationType", "code": "PPRF"}]}], "individual": individual})
    return made


def planned_appointment(record: Record, names: Names) -> Resource:
    identity, display = f"{names.session}/planned", "Routine appointment - default if not valued"
    made = {
        "resourceType": "Appointment",
        "id": uid(PLANNED, identity),
        "identifier": [{"system": f"{SYSTEM}/planned", "value": identity}],
        "status": PLANNED_STATUS[record["status"]],
        "appointmentType": {"coding": [{"system": f"{HL7}/v2-0276", "code": "ROUTINE", "display": display}]},
        "start": record["planned"]["start"],
        "end": record["planned"]["end"],
        "participant": [{"actor": {"reference": f"Patient/{names.patient}"}, "status": "accepted"}],
    }
    if "referral" in record:
        made["basedOn"] = referral(record)
    return made


def follow_up(record: Record, patient: str) -> Resource:
    one = record["follow_up"]
    display = "A follow up visit from a previous appointment"
    made: Resource = {
        "resourceType": "Appointment",
        "id": uid(_FOLLOW_UP, one["id"]),
        "identifier": [{"system": f"{SYSTEM}/appointment", "value": one["id"]}],
        "status": APPOINTMENT_STATUS[one["status"]],
        "appointmentType": {"coding": [{"system": f"{HL7}/v2-0276", "code": "FOLLOWUP", "display": display}]},
        "participant": [{"actor": {"reference": f"Patient/{patient}"}, "status": PARTICIPATION_STATUS[one["status"]]}],
    }
    if "version" in one:
        made["extension"] = [{"url": f"{EXT}/record-version", "valuePositiveInt": one["version"]}]
    if "session" in record:
        session = {"system": f"{SYSTEM}/session", "value": record["session"]["id"]}
        made["supportingInformation"] = [{"type": "Encounter", "identifier": session}]
    if "reason" in one:
        made["cancelationReason"] = CANCELLATION_REASONS[one["reason"]]
    if "start" in one:
        made["start"] = one["start"]
    if "end" in one:
        made["end"] = one["end"]
    if "minutes" in one:
        made["minutesDuration"] = one["minutes"]
    if "created" in one:
        made["created"] = one["created"]
    return made


def series_appointment(day: Record, names: Names) -> Resource:
    display = "Routine appointment - default if not valued"
    return {
        "resourceType": "Appointment",
        "id": uid(SERIES_APPOINTMENT, day["appointment_id"]),
        "extension": [{"url": f"{EXT}/series-day", "valueString": day["day"]}],
        "identifier": [{"system": f"{SYSTEM}/series-appointment", "value": day["appointment_id"]}],
        "status": APPOINTMENT_STATUS[day["status"]],
        "appointmentType": {"coding": [{"system": f"{HL7}/v2-0276", "code": "ROUTINE", "display": display}]},
        "serviceCategory": [
            {"coding": [{"system": f"{OWN}/service-category", "code": "infusion-series"}], "text": "Infusion series"},
        ],
        "start": day["start"],
        "end": day["end"],
        "participant": [{"actor": {"reference": f"Patient/{names.patient}"}, "status": PARTICIPATION_STATUS[day["status"]]}],
    }


def episode(record: Record, names: Names) -> Resource:
    series = record["series"]
    made: Resource = {
        "resourceType": "EpisodeOfCare",
        "id": uid(EPISODE, series["id"]),
        "identifier": [{"system": f"{SYSTEM}/series", "value": series["id"]}],
        "status": EPISODE_STATUS[series["status"]],
        "patient": {"reference": f"Patient/{names.patient}"},
    }
    if names.indication:
        made["diagnosis"] = [{"condition": {"reference": f"Condition/{names.indication}"}}]
    if "referral" in record:
        made["referralRequest"] = referral(record)
    dates = {}
    if "started_on" in series:
        dates["start"] = series["started_on"]
    if "ended_on" in series:
        dates["end"] = series["ended_on"]
    if dates:
        made["period"] = dates
    return made


def care_plan(series: Record, names: Names) -> Resource:
    made: Resource = {
        "resourceType": "CarePlan",
        "id": uid(_PLAN, series["id"]),
        "identifier": [{"system": f"{SYSTEM}/series", "value": series["id"]}],
        "status": CARE_PLAN_STATUS[series["status"]],
        "intent": "plan",
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
    }
    if "goal" in series:
        made["description"] = series["goal"]
    if names.indication:
        made["addresses"] = [{"reference": f"Condition/{names.indication}"}]
    if "plan" in series:
        made["activity"] = [
            {"id": day["day"], "reference": {"reference": f"Appointment/{uid(SERIES_APPOINTMENT, day['appointment_id'])}"}}
            for day in series["plan"]
        ]
    return made


def stay(series: Record, names: Names) -> Resource:
    one, text = series["stay"], "Hospital stay for an infusion series"
    return {
        "resourceType": "Encounter",
        "id": uid(STAY, one["id"]),
        "identifier": [{"system": f"{SYSTEM}/stay", "value": one["id"]}],
        "status": STAY_STATUS[series["status"]],
        "class": {"system": f"{HL7}/v3-ActCode", "code": "IMP", "display": "inpatient encounter"},
        "type": [{"coding": [{"system": f"{OWN}/encounter-type", "code": "infusion-stay"}], "text": text}],
        "subject": {"reference": f"Patient/{names.patient}"},
        "episodeOfCare": [{"reference": f"EpisodeOfCare/{uid(EPISODE, series['id'])}"}],
        "period": period(one),
    }


def correction(one: Record, names: Names) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": uid(_CORRECTION, f"{names.session}/{one['at']}"),
        "target": [{"reference": f"Encounter/{names.encounter}"}],
        "recorded": one["at"],
        "reason": [{"text": one["reason"]}],
        "activity": {"coding": [{"system": f"{HL7}/v3-DataOperation", "code": "UPDATE", "display": "revise"}]},
        "agent": AGENTS,
    }


def provenance(record: Record, names: Names) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": uid(_RECORDED, f"{names.session}/recorded"),
        "target": [{"reference": f"Encounter/{names.encounter}"}],
        "recorded": record["recorded_at"],
        "activity": {"coding": [{"system": f"{HL7}/v3-DataOperation", "code": "CREATE", "display": "create"}]},
        "agent": AGENTS,
    }


def instructions(record: Record, names: Names) -> Resource:
    identity = f"{names.session}/instructions"
    made: Resource = {
        "resourceType": "Communication",
        "id": uid(_TOLD, identity),
        "identifier": [{"system": f"{SYSTEM}/instructions", "value": identity}],
        "status": COMMUNICATION_STATUS[record["status"]],
        "category": [{"coding": [{"system": f"{HL7}/communication-category", "code": "instruction"}]}],
        "subject": {"reference": f"Patient/{names.patient}"},
        "encounter": {"reference": f"Encounter/{names.encounter}"},
        "payload": [{"id": one["id"], "contentString": one["text"]} for one in record["instructions"]],
    }
    if "ended_at" in record:
        made["sent"] = record["ended_at"]
    return made


def summary(record: Record, names: Names) -> Resource:
    identity, one, title = f"{names.session}/summary", record["summary"], "Infusion session summary"
    made: Resource = {}
    if "started_at" in record or "ended_at" in record:
        made["context"] = {"encounter": [{"reference": f"Encounter/{names.encounter}"}], "period": period(record)}
    return made | {
        "resourceType": "DocumentReference",
        "id": uid(_SUMMARY, identity),
        "identifier": [{"system": f"{SYSTEM}/summary", "value": identity}],
        "status": DOCUMENT_STATUS[record["status"]],
        "docStatus": DOCUMENT_STATE[record["status"]],
        "type": {
            "coding": [
                {"system": LOINC, "code": "11506-3", "display": "Provider-unspecified Progress note"},
                {"system": f"{OWN}/document", "code": "session-summary"},
            ],
            "text": title,
        },
        "category": [{"coding": [{"system": LOINC, "code": "11506-3", "display": "Provider-unspecified progress note"}]}],
        "subject": {"reference": f"Patient/{names.patient}"},
        "date": one["created"],
        "author": [{"identifier": {"system": f"{SYSTEM}/organization", "value": "clinic"}, "display": "Headache infusion clinic"}],
        "content": [
            {"id": "text", "attachment": _attachment("text/plain; charset=utf-8", one["text"], title, one["created"])},
            {"id": "page", "attachment": _attachment("application/pdf", one["pdf"], f"{title} on one page", one["created"])},
        ],
    }


def _attachment(kind: str, data: str, title: str, created: str) -> Record:
    return {"contentType": kind, "language": "en", "data": data, "title": title, "creation": created}
