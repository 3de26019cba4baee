"""What a delivery must leave as the hospital has it: what a person has yet to decide, and what the hospital itself said of its own.

A record that still says what the clinic said before the hospital changed it has not been changed by the clinic: the hospital's
word becomes its next version. A record that says something of its own is a conflict: the field is sent as the hospital has it,
so that nothing is written over, and the rest of the resource goes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import built, flat
from fhir_bridge.errors import Refused
from fhir_bridge.store import conflicts, links, outbox, records
from fhir_bridge.store.conflicts import FIELD, Conflict, Word
from fhir_bridge.store.records import Stored
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.convert import checked
from fhir_bridge.sync.delivery.job import Job
from fhir_bridge.sync.pulling.compare import NOTHING, Leaves, equal
from fhir_bridge.sync.pulling.record import About, Page, newest, open_conflict, settle, with_values

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at the hospital until it is decided: whole resources (`alone`, by our key), and fields of others with their values."""

    alone: frozenset[str] = frozenset()
    fields: Mapping[str, Leaves] = field(default_factory=dict)


def standing(job: Job, stored: Stored, keys: Sequence[str], *, dry: bool = False) -> Standing | None:
    """What of `keys` (the record's resources) this delivery must leave; None when a newer version takes its place.

    `dry`: nothing is stored, and a newer version that would be made now is not.
    """
    delivery = job.delivery
    with job.bridge.store.reading() as tx:
        open_ = conflicts.holding(tx, delivery.tenant, delivery.hospital, keys)
        words = conflicts.words(tx, delivery.tenant, delivery.hospital, keys)
    if not open_ and not words:
        return Standing()
    open_ = [one for one in open_ if one.what != FIELD or not _is_over(job, stored, one, dry=dry)]
    asked = {(one.ours, one.path): _value(one.their_value) for one in open_ if one.what == FIELD}
    differing = [word for word in _differing(job, stored, words) if (word.ours, word.path) not in asked]
    if differing and not dry and _overtaken(job, stored, differing):
        return None
    fields: dict[str, Leaves] = {}
    for (ours, path), value in (asked | {(word.ours, word.path): _value(word.value) for word in differing}).items():
        fields.setdefault(ours, {})[path] = value
    return Standing(frozenset(one.ours for one in open_ if one.what != FIELD), fields)


def as_it_stands(
    site: Site, stands: Standing, record: Resource, onto: Sequence[Resource], *, kind: str, resources: Sequence[Resource]
) -> tuple[list[Resource], frozenset[str]]:
    """`resources` with the hospital's own values in the fields that stand, and what cannot be written with them and is left alone."""
    found, alone = {f"{one['resourceType']}/{one['id']}": one for one in resources}, set(stands.alone)
    schema = site.records.kinds[kind].schema
    for ours, values in stands.fields.items():
        leaves = {path: value for path, value in {**flat(schema, record), **values}.items() if value is not NOTHING}
        try:
            theirs = checked(site.mapping.to_fhir(record | built(schema, leaves), onto=onto)).resources
        except Refused:
            theirs = []
        same = next((one for one in theirs if f"{one['resourceType']}/{one['id']}" == ours), None)
        if same is None:
            alone.add(ours)
        elif ours in found:
            found[ours] = same
    return list(found.values()), frozenset(alone)


def _is_over(job: Job, stored: Stored, one: Conflict, *, dry: bool) -> bool:
    """Whether the clinic's record has come to say what the hospital says, so that there is nothing to decide any more."""
    leaves = _leaves(job.site.records.kinds[stored.kind].schema, stored)
    if not equal(leaves.get(one.path, NOTHING), _value(one.their_value)):
        return False
    if not dry:
        with job.bridge.store.transaction() as tx:
            settle(Page(job.bridge, tx, job.delivery.tenant, job.delivery.hospital), one)
    return True


def _overtaken(job: Job, stored: Stored, differing: Collection[Word]) -> bool:
    delivery = job.delivery
    with job.bridge.store.transaction() as tx:
        page = Page(job.bridge, tx, delivery.tenant, delivery.hospital)
        about = newest(page, delivery.kind, delivery.record_id)
        idle = about.version == delivery.version and outbox.open_attempt(tx, delivery) is None
        return idle and _heard(page, about, stored, differing)


def _differing(job: Job, stored: Stored, words: Collection[Word]) -> list[Word]:
    leaves = _leaves(job.site.records.kinds[stored.kind].schema, stored)
    return [word for word in words if not equal(leaves.get(word.path, NOTHING), _value(word.value))]


def _heard(page: Page, about: About, stored: Stored, differing: Collection[Word]) -> bool:
    """Write down what the clinic disputes, and make the rest the record's next version; whether there is one."""
    before = records.version(page.tx, page.tenant, stored.kind, stored.id, stored.version - 1)
    earlier = _leaves(page.site.records.kinds[stored.kind].schema, before) if before else None
    unchanged = [word for word in differing if not _changed_here(about, word, earlier)]
    if unchanged:
        try:
            with_values(page, about, {word.path: _value(word.value) for word in unchanged}, actor=page.actor)
            return True  # what is disputed is written down when the next version goes out
        except Refused:
            pass
    for word in differing:
        values = (about.leaves.get(word.path, NOTHING), _value(word.value))
        open_conflict(page, about, ours=word.ours, theirs=_theirs(page, word.ours), path=word.path, values=values)
    return False


def _changed_here(about: About, word: Word, earlier: Leaves | None) -> bool:
    """Whether the clinic said it anew: it differs from the version before, else from what the record said that the hospital changed."""
    before = _value(word.before) if earlier is None else earlier.get(word.path, NOTHING)
    return not equal(about.leaves.get(word.path, NOTHING), before)


def _leaves(schema: Any, stored: Stored) -> Leaves:
    return flat(schema, documents.loads(stored.document, max_bytes=len(stored.document)))


def _value(said: bytes | None) -> Any:
    return NOTHING if said is None else documents.loads(said)


def _theirs(page: Page, ours: str) -> str:
    link = links.by_ours(page.tx, page.tenant, page.hospital, ours)
    return (link.theirs if link else None) or ""
