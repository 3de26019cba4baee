"""Which patients are known, and whose patient each referral is. What is known is read from the audit trail, in the order of commits.

So accepting a record costs nothing for it; whoever wants to know reads what is new first (`unread`, `know`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matching_tables import matches, patient_numbers, patients, patients_read
from fhir_bridge.store.tables import audit, records

_KINDS = ("session", "appointment", "referral")


@dataclass(frozen=True, slots=True)
class Known:
    """A patient of the tenant: `family` is the name as it is compared, `document` the patient of the record accepted last (JSON)."""

    patient: str
    birth_date: str
    family: str = field(repr=False)
    document: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Match:
    """Whose patient a referral is: `verdict` is open (a person decides), joined or new; `candidates` JSON.

    `hospital` is the one hospital the referral belongs to, None when its sender names none.
    """

    tenant: str
    referral: str
    hospital: str | None
    verdict: str
    candidates: bytes
    asked_at: datetime
    decided_by: str | None = None


def unread(tx: Transaction, tenant: str, limit: int) -> tuple[int, int, list[tuple[str, str]]]:
    """(the last row of the audit trail read before, the last one of this page, the records it speaks of)."""
    told = tx.first(_READ, of_tenant=tenant)
    after = told[0] if told else 0
    rows = list(tx.execute(_UNREAD, of_tenant=tenant, after=after, most=limit))
    named = dict.fromkeys(row.subject for row in rows if row.actor != "worker")
    pairs = [(kind, id) for kind, _, id in (subject.partition("/") for subject in named) if kind in _KINDS]
    return after, (rows[-1].seq if rows else after), pairs


def know(tx: Transaction, tenant: str, found: Sequence[tuple[Known, Iterable[tuple[str, str]]]], *, after: int, read: int) -> None:
    """Remember patients with their (system, value) numbers, told by the rows `after` to `read`; nothing, if somebody else did meanwhile."""
    tx.insert_or_ignore(patients_read, tenant=tenant, seq=0)
    mine = update(patients_read).where(patients_read.c.tenant == tenant, patients_read.c.seq == after)
    if tx.execute(mine.values(seq=read)).rowcount == 0 or not found:
        return
    tx.upsert_all(patients, [{"tenant": tenant, **{name: getattr(one, name) for name in Known.__slots__}} for one, _ in found])
    gone = patient_numbers.c.patient.in_([one.patient for one, _ in found])
    tx.execute(delete(patient_numbers).where(patient_numbers.c.tenant == tenant, gone))
    numbers = [{"tenant": tenant, "system": s, "value": v, "patient": one.patient} for one, each in found for s, v in each]
    tx.insert_or_ignore_all(patient_numbers, numbers)


def numbered(tx: Transaction, tenant: str, numbers: Sequence[tuple[str, str]]) -> list[Known]:
    """The patients known by one of these (system, value)."""
    if not numbers:
        return []
    return [Known(*row) for row in tx.execute(_NUMBERED, of_tenant=tenant, numbers=list(numbers))]


def alike(tx: Transaction, tenant: str, *, birth_date: str, family: str) -> list[Known]:
    """The patients born that day under that name."""
    return [Known(*row) for row in tx.execute(_ALIKE, of_tenant=tenant, born=birth_date, named=family)]


def known(tx: Transaction, tenant: str, ids: Sequence[str]) -> list[Known]:
    """Those of these patients that are known."""
    return tx.every(Known, _known(tenant).where(patients.c.patient.in_(ids)).order_by(patients.c.patient))


def living(tx: Transaction, tenant: str, ids: Sequence[str]) -> frozenset[str]:
    """Those of these patients whom a record is about as it stands; one whose every record moved to another patient is nobody any more."""
    newer = records.alias()
    same = (newer.c.tenant == records.c.tenant, newer.c.kind == records.c.kind, newer.c.id == records.c.id)
    moved = select(newer.c.version).where(*same, newer.c.version > records.c.version).exists()
    found = select(records.c.patient).distinct().where(records.c.tenant == tenant, records.c.patient.in_(ids), ~moved)
    return frozenset(row[0] for row in tx.rows(found))


def put(tx: Transaction, match: Match) -> None:
    """What is known of one referral from now on."""
    tx.upsert(matches, **{name: getattr(match, name) for name in Match.__slots__})


def of(tx: Transaction, tenant: str, referral: str) -> Match | None:
    """Whose patient this referral is; None for one that no hospital sent."""
    return tx.one(Match, _OF, of_tenant=tenant, of_referral=referral)


def hold(tx: Transaction, tenant: str, referral: str) -> Match | None:
    """As `of`; nobody else changes the referral until the commit."""
    return tx.one(Match, _matches(tenant).where(matches.c.referral == referral).with_for_update())


def open_(tx: Transaction, tenant: str) -> list[Match]:
    """The referrals that wait for a person to say whose patient it is, the oldest first."""
    return tx.every(Match, _matches(tenant).where(matches.c.verdict == "open").order_by(matches.c.asked_at, matches.c.referral))


def _known(tenant: Any) -> Any:
    return select(*(patients.c[name] for name in Known.__slots__)).where(patients.c.tenant == tenant)


def _matches(tenant: Any) -> Any:
    return select(*(matches.c[name] for name in Match.__slots__)).where(matches.c.tenant == tenant)


# SQLAlchemy takes longer to build a statement than SQLite to run it: those of every referral are built once
_READ = select(patients_read.c.seq).where(patients_read.c.tenant == bindparam("of_tenant"))
_UNREAD = (
    select(audit.c.seq, audit.c.actor, audit.c.subject)
    .where(audit.c.tenant == bindparam("of_tenant"), audit.c.seq > bindparam("after"))
    .order_by(audit.c.seq)
    .limit(bindparam("most"))
)
_OF = _matches(bindparam("of_tenant")).where(matches.c.referral == bindparam("of_referral"))
_BY_NUMBER = select(patient_numbers.c.patient).where(
    patient_numbers.c.tenant == bindparam("of_tenant"),
    tuple_(patient_numbers.c.system, patient_numbers.c.value).in_(bindparam("numbers", expanding=True)),
)
_NUMBERED = _known(bindparam("of_tenant")).where(patients.c.patient.in_(_BY_NUMBER)).order_by(patients.c.patient)
_ALIKE = (
    _known(bindparam("of_tenant"))
    .where(patients.c.birth_date == bindparam("born"), patients.c.family == bindparam("named"))
    .order_by(patients.c.patient)
)
