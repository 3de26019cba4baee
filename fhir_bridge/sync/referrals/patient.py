"""The patient in a referral's record: when it comes, when the hospital changes it, and when a person decides whose it is.

While a person has not decided, the record has a patient of its own and goes to no hospital.
"""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import matches, records, senders
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matches import Match
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import match as refer_match
from fhir_bridge.sync.referrals import read
from fhir_bridge.sync.referrals.match import Candidate, Verdict

Patient = dict[str, Any]


def arrived(
    bridge: Bridge, client: Client, referral: str, told: Patient, *, before: Patient | None, now: datetime
) -> tuple[Patient, Match]:
    """(the patient of the referral's record, what is to be stored of it) for what a hospital told; `before` is the patient it had."""
    with bridge.store.reading() as tx:
        found = matches.of(tx, client.tenant, referral)
        stands = found or Match(client.tenant, referral, senders.of(tx, client.tenant, client.id).hospital, "new", b"[]", now)
    if before and _same(before, told):
        known = before if stands.verdict == "joined" else {}
        return together(known, told, str(before["id"])), stands
    verdict = refer_match.look(bridge, client.tenant, told)
    if before:
        verdict = _again(bridge, client.tenant, verdict, told, before=before, stands=stands)
    return _judged(bridge, told, verdict, stands, now)


def shown(tx: Transaction, match: Match, told: Patient) -> dict[str, Any]:
    """`{verdict, hospital, told, candidates: [{patient, agrees, differs, known}]}`: who may be meant, beside what the hospital told."""
    candidates = [Candidate(**one) for one in documents.loads(match.candidates)] if match.verdict == "open" else []
    known = refer_match.details(tx, match.tenant, [one.patient for one in candidates])
    listed = [asdict(one) | {"known": known.get(one.patient, {})} for one in candidates]
    return {"verdict": match.verdict, "hospital": match.hospital, "told": told, "candidates": listed}


def decided(bridge: Bridge, client: Client, stands: Match, told: Patient, *, patient: str | None, new: bool) -> Patient:
    """The patient a person chose: a known one, or with `new` one of the clinic's number `patient` or of a number of ours.

    Raises `Refused` when the words fit nobody.
    """
    refer_match.catch_up(bridge, client.tenant)
    wanted = patient or _own(stands.referral)
    mine = wanted == told["id"]
    with bridge.store.reading() as tx:
        known = {} if mine else refer_match.details(tx, client.tenant, [wanted]).get(wanted, {})
    if new and known:
        raise Refused([Fault("patient", "is the number of a patient who is known; leave new out to join them, or choose another number")])
    if not new and not known and not (mine and stands.verdict == "joined"):
        raise Refused([Fault("patient", "is no patient known here; name one of the candidates, or say new")])
    return together(known, told, wanted)


def together(known: Patient, told: Patient, id: str) -> Patient:
    """One patient: what the hospital told, and what only the clinic knows."""
    said = {name: value for name, value in told.items() if not (name == "sex" and value == "unknown" and name in known)}
    numbers = {one["system"]: one for each in (known, told) for one in each.get("hospital_numbers", [])}
    listed = {"hospital_numbers": [numbers[system] for system in sorted(numbers)]} if numbers else {}
    return {**known, **said, **listed, "id": id}


def _same(before: Patient, told: Patient) -> bool:
    """Whether the hospital tells of the same person as before: number, birth date, family name."""
    numbers = [dict(refer_match.numbers_of(each)) for each in (before, told)]
    names = [refer_match.plain(each["family_name"]) for each in (before, told)]
    return numbers[1].items() <= numbers[0].items() and names[0] == names[1] and before["birth_date"] == told["birth_date"]


def _again(bridge: Bridge, tenant: str, verdict: Verdict, told: Patient, *, before: Patient, stands: Match) -> Verdict:
    """The verdict on a patient the hospital tells otherwise than before: the same one, or a person decides."""
    id = str(before["id"])
    if stands.verdict == "open" or (verdict.word == "joined" and verdict.patient == id):
        return verdict
    with bridge.store.reading() as tx:
        alone = len(records.of_patient(tx, tenant, id)) == 1
    if alone and {one.patient for one in verdict.candidates} <= {id}:  # nobody but this referral knows the patient
        return Verdict("joined", id)
    was = refer_match.compared(told, before)
    return Verdict("open", candidates=(was, *(one for one in verdict.candidates if one.patient != id)))


def _judged(bridge: Bridge, told: Patient, verdict: Verdict, stands: Match, now: datetime) -> tuple[Patient, Match]:
    match verdict.word:
        case "joined":
            with bridge.store.reading() as tx:
                known = refer_match.details(tx, stands.tenant, [verdict.patient]).get(verdict.patient, {})
            return together(known, told, verdict.patient), replace(stands, verdict="joined")
        case "open":
            listed = documents.dumps([asdict(one) for one in verdict.candidates])
            asked = replace(stands, verdict="open", candidates=listed, asked_at=now, decided_by=None)
            return together({}, told, _own(stands.referral)), asked
        case _:
            return together({}, told, read.patient_number({"patient": told}, stands.referral)), replace(stands, verdict="new")


def _own(referral: str) -> str:
    return read.patient_number({"patient": {}}, referral)
