"""What both sides say differently, one row a difference; what a hospital itself said of its own fields; and turns taken by both sides.

A difference is open once at a time; it ends by a person's decision, or because both sides say the same again. No row is deleted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, insert, or_, select, update

from fhir_bridge.faults import fault_point
from fhir_bridge.store.among import among, in_words
from fhir_bridge.store.conflict_tables import conflicts, hospital_words, resource_turns
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared

FIELD = "field"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A difference that a person decides. `what` is `field` (`path` says which), or what happened to the whole resource.

    Values are JSON; None is "not there". `ours` is our `Type/uuid`, `theirs` the hospital's `Type/id`; `kind` and `record_id` name
    the record that speaks for it. `state`: open, kept-ours, took-theirs, settled.
    """

    tenant: str
    id: str
    hospital: str
    ours: str
    theirs: str
    what: str
    path: str
    kind: str
    record_id: str
    our_value: bytes | None
    their_value: bytes | None
    state: str
    opened_at: datetime
    changed_at: datetime
    decided_by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """What a hospital itself said of a field of one of our resources: it stands there. `before` is what our record said then."""

    tenant: str
    hospital: str
    ours: str
    path: str
    value: bytes | None
    before: bytes | None
    said_at: datetime


def id_of(hospital: str, ours: str, what: str, path: str, opened_at: datetime) -> str:
    """A short name for people: always the same for one difference opened at one time, and says nothing."""
    return sha256("\n".join((hospital, ours, what, path, opened_at.isoformat())).encode()).hexdigest()[:12]


def open_(tx: Transaction, conflict: Conflict) -> bool:
    """Write an open conflict; the same difference that is open already takes the new values. True when it is new."""
    same = and_(conflicts.c.state == "open", *_difference(conflict))
    fault_point("P5")
    newer = {"our_value": conflict.our_value, "their_value": conflict.their_value, "theirs": conflict.theirs}
    record = {"kind": conflict.kind, "record_id": conflict.record_id, "changed_at": conflict.changed_at}
    if tx.execute(update(conflicts).where(same).values(**newer, **record)).rowcount:
        return False
    tx.execute(insert(conflicts).values(**{name: getattr(conflict, name) for name in Conflict.__slots__}))
    return True


def close(tx: Transaction, conflict: Conflict, *, state: str, now: datetime, by: str | None = None, why: str | None = None) -> bool:
    """End a conflict: `settled` by itself, else `kept-ours` or `took-theirs` by a person. False when it changed since it was read."""
    this = and_(conflicts.c.tenant == conflict.tenant, conflicts.c.id == conflict.id, conflicts.c.state == conflict.state)
    decided = {"decided_by": by, "why": why} if by else {}
    return tx.execute(update(conflicts).where(this).values(state=state, changed_at=now, **decided)).rowcount == 1


def by_id(tx: Transaction, tenant: str, id: str) -> Conflict | None:
    """One conflict, in any state."""
    return tx.one(Conflict, select(*_columns()).where(conflicts.c.tenant == tenant, conflicts.c.id == id))


def listing(
    tx: Transaction, tenant: str, *, state: str | None = "open", hospital: str | None = None, after: str = "", limit: int = 1000
) -> list[Conflict]:
    """Conflicts by their id, `after` one of them; of one state and hospital, or of all."""
    found = select(*_columns()).where(conflicts.c.tenant == tenant, conflicts.c.id > after)
    if state:
        found = found.where(conflicts.c.state == state)
    if hospital:
        found = found.where(conflicts.c.hospital == hospital)
    return tx.every(Conflict, found.order_by(conflicts.c.id).limit(limit))


def holding(tx: Transaction, tenant: str, hospital: str, ours: Sequence[str]) -> list[Conflict]:
    """What keeps a delivery from writing parts of `ours`: what is open, and deletions that a person let stand."""
    found = tx.every(Conflict, _holding(), tenant=tenant, hospital=hospital, names=ours)
    return sorted(found, key=lambda one: one.id)  # here: asked for the order, SQLite walks all conflicts of the tenant instead


def of_record(tx: Transaction, tenant: str, kind: str, record_id: str) -> list[Conflict]:
    """What is open of one record, the oldest first."""
    here = [conflicts.c.tenant == tenant, conflicts.c.state == "open", conflicts.c.kind == kind, conflicts.c.record_id == record_id]
    return tx.every(Conflict, select(*_columns()).where(*here).order_by(conflicts.c.opened_at, conflicts.c.id))


def say(tx: Transaction, word: Word) -> None:
    """The hospital's newest word on a field takes the place of the one before."""
    tx.upsert(hospital_words, **{name: getattr(word, name) for name in Word.__slots__})


def unsay(tx: Transaction, tenant: str, hospital: str, ours: str, path: str) -> None:
    """A person decided that the clinic speaks of this field again."""
    at = (hospital_words.c.tenant == tenant, hospital_words.c.hospital == hospital, hospital_words.c.ours == ours)
    tx.execute(delete(hospital_words).where(*at, hospital_words.c.path == path))


def words(tx: Transaction, tenant: str, hospital: str, ours: Sequence[str]) -> list[Word]:
    """What the hospital itself said of these resources."""
    found = tx.every(Word, _words(), tenant=tenant, hospital=hospital, names=ours)
    return sorted(found, key=lambda word: (word.ours, word.path))


def turn(tx: Transaction, *, tenant: str, hospital: str, ours: str, written_at: datetime, now: datetime, within: timedelta) -> int:
    """The hospital changed `ours`, which we wrote last at `written_at`: how many times in turn both have, `within` this time."""
    key = {"tenant": tenant, "hospital": hospital, "ours": ours}
    at = [resource_turns.c[name] == value for name, value in key.items()]
    row = tx.first(select(resource_turns.c.turns, resource_turns.c.since, resource_turns.c.last_at).where(*at))
    turns, since = (1, now) if row is None or now - row[1] > within else (row[0] + int(written_at > row[2]), row[1])
    tx.upsert(resource_turns, **key, turns=turns, since=since, last_at=now)
    return turns


def forget_turns(tx: Transaction, *, tenant: str, hospital: str, ours: Iterable[str]) -> None:
    """A person decided: both sides begin anew."""
    at = (resource_turns.c.tenant == tenant, resource_turns.c.hospital == hospital, resource_turns.c.ours.in_(list(ours)))
    tx.execute(delete(resource_turns).where(*at))


@cache  # these two are run for every delivery
def _holding() -> Prepared:
    stands = or_(conflicts.c.state == "open", and_(conflicts.c.state == "took-theirs", in_words(conflicts.c.what, "deleted", "retracted")))
    return Prepared(select(*_columns()).where(*_here(conflicts), stands))


@cache
def _words() -> Prepared:
    return Prepared(select(*(hospital_words.c[name] for name in Word.__slots__)).where(*_here(hospital_words)))


def _here(table: Table) -> list[ColumnElement[bool]]:
    """`table` narrowed to a hospital and some resources, which are named when the statement is run."""
    return [*(table.c[name] == bindparam(name) for name in ("tenant", "hospital")), among(table.c.ours)]


def _difference(conflict: Conflict) -> list[ColumnElement[bool]]:
    return [conflicts.c[name] == getattr(conflict, name) for name in ("tenant", "hospital", "ours", "what", "path")]


def _columns() -> Sequence[ColumnElement[object]]:
    return [conflicts.c[name] for name in Conflict.__slots__]
