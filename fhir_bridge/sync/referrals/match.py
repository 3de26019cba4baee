"""Whose patient is referred: the hospital's number with its issuer tells, birth date and family name check it; anything less asks a person.

A number agrees only with its issuer: one number of two hospitals is two patients. Case, accents, hyphens and spaces of a name make
no difference for the check; the names themselves stay as they were written.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhir_bridge import documents
from fhir_bridge.store import matches, records
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matches import Known
from fhir_bridge.sync.bridge import Bridge

READ_AT_ONCE = 500
FRESH = 24  # rows of the audit trail that may wait until a page of them is learnt of
Patient = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A known patient who may be the one: which fields agree with what was told, and which do not."""

    patient: str
    agrees: tuple[str, ...]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is joined (to `patient`), new, or open: a person chooses among the candidates."""

    word: str
    patient: str = ""
    candidates: tuple[Candidate, ...] = ()


def judge(told: Patient, numbered: Sequence[Patient], alike: Sequence[Patient]) -> Verdict:
    """Pure. `numbered` share a number with `told`, `alike` its birth date and family name."""
    sure = [compared(told, one) for one in numbered]
    if len(sure) == 1 and not sure[0].differs:
        return Verdict("joined", sure[0].patient, tuple(sure))
    named = [compared(told, one) for one in alike if one["id"] not in {each["id"] for each in numbered}]
    found = (*sure, *(one for one in named if "given_names" in one.agrees))
    return Verdict("open", candidates=found) if found else Verdict("new")


def compared(told: Patient, known: Patient) -> Candidate:
    """Field by field. A given name that differs is told and counts against nobody: hospitals write one, or all."""
    ours, theirs = (dict(numbers_of(one)) for one in (told, known))
    shared = ours.keys() & theirs.keys()
    said = {
        "hospital_numbers": all(ours[system] == theirs[system] for system in shared) if shared else None,
        "birth_date": told.get("birth_date") == known.get("birth_date"),
        "family_name": plain(told.get("family_name", "")) == plain(known.get("family_name", "")),
    }
    first = [plain(one["given_names"][0]) if one.get("given_names") else "" for one in (told, known)]
    agrees = [name for name, same in said.items() if same] + (["given_names"] if first[0] == first[1] else [])
    return Candidate(str(known["id"]), tuple(agrees), tuple(name for name, same in said.items() if same is False))


def plain(name: str) -> str:
    """`name` as it is compared: letters and digits alone, without accents and case."""
    taken_apart = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in taken_apart if letter.isalnum())


def numbers_of(patient: Patient) -> list[tuple[str, str]]:
    """The hospitals' numbers as (system, value)."""
    return [(one["system"], one["value"]) for one in patient.get("hospital_numbers", [])]


def look(bridge: Bridge, tenant: str, told: Patient) -> Verdict:
    """The verdict on `told` among all patients of the tenant known by now: those learnt of, and those of the last few records."""
    with bridge.store.reading() as tx:
        fresh = _fresh(tx, tenant)
        if fresh is not None:
            return _judged(tx, tenant, told, fresh)
    catch_up(bridge, tenant)
    with bridge.store.reading() as tx:
        return _judged(tx, tenant, told, {})


def _judged(tx: Transaction, tenant: str, told: Patient, fresh: Mapping[str, dict[str, Any]]) -> Verdict:
    family, numbers, born = plain(told.get("family_name", "")), numbers_of(told), str(told.get("birth_date", ""))
    numbered = _with(_documents(matches.numbered(tx, tenant, numbers)), fresh)
    alike = _with(_documents(matches.alike(tx, tenant, birth_date=born, family=family)), fresh)
    numbered = [one for one in numbered if set(numbers_of(one)) & set(numbers)]
    alike = [one for one in alike if str(one["birth_date"]) == born and plain(one["family_name"]) == family]
    if not numbered and not alike:
        return Verdict("new")
    living = matches.living(tx, tenant, sorted({str(one["id"]) for one in (*numbered, *alike)}))
    return judge(told, *([one for one in found if one["id"] in living] for found in (numbered, alike)))


def details(tx: Transaction, tenant: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of these patients, by id."""
    fresh = _newest(tx, tenant, matches.unread(tx, tenant, READ_AT_ONCE)[2]) if ids else {}
    return {str(one["id"]): one for one in _with(_documents(matches.known(tx, tenant, ids)), fresh) if one["id"] in ids}


def catch_up(bridge: Bridge, tenant: str) -> None:
    """Learn of the patients of every record accepted since the last time; the database is held for writing what was read alone."""
    whole = True
    while whole:
        with bridge.store.reading() as tx:
            after, read, pairs = matches.unread(tx, tenant, READ_AT_ONCE)
            newest = _newest(tx, tenant, pairs)
            known = {str(one["id"]): one for one in _documents(matches.known(tx, tenant, list(newest)))}
            newest = {id: _over(known.get(id), one) for id, one in newest.items()}
        if read > after:
            with bridge.store.transaction() as tx:
                matches.know(tx, tenant, [(_known(one), numbers_of(one)) for one in newest.values()], after=after, read=read)
        whole = read - after >= READ_AT_ONCE


def _fresh(tx: Transaction, tenant: str) -> dict[str, dict[str, Any]] | None:
    """The patients of the records nobody learnt of yet, by id; None when they are many: a commit for each referral would cost more."""
    before, read, pairs = matches.unread(tx, tenant, FRESH)
    return None if read - before >= FRESH else _newest(tx, tenant, pairs)


def _newest(tx: Transaction, tenant: str, pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for one in (_patient_in(one.document) for one in records.newest(tx, tenant, list(pairs))):
        if one:
            told[str(one["id"])] = _over(told.get(str(one["id"])), one)
    return told


@lru_cache(maxsize=4 * FRESH)  # what is fresh is looked at again for each referral until it is learnt of; nobody changes it
def _patient_in(document: bytes) -> dict[str, Any] | None:
    patient: dict[str, Any] | None = documents.loads(document, max_bytes=len(document)).get("patient")
    return patient


def _with(known: Sequence[dict[str, Any]], fresh: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The patients in the order of their ids, what is fresh over what was known."""
    together = {str(one["id"]): one for one in known}
    together |= {id: _over(together.get(id), one) for id, one in fresh.items()}
    return [together[id] for id in sorted(together)]


def _over(before: Patient | None, now: dict[str, Any]) -> dict[str, Any]:
    """`now`, with the numbers that only `before` told: the clinic's next record need not repeat them."""
    numbers = {**dict(numbers_of(before or {})), **dict(numbers_of(now))}
    if len(numbers) == len(numbers_of(now)):
        return now
    return {**now, "hospital_numbers": [{"system": system, "value": numbers[system]} for system in sorted(numbers)]}


def _known(patient: Patient) -> Known:
    return Known(str(patient["id"]), str(patient["birth_date"]), plain(patient["family_name"]), documents.dumps(patient))


def _documents(found: Sequence[Known]) -> list[dict[str, Any]]:
    return [documents.loads(one.document, max_bytes=len(one.document)) for one in found]
