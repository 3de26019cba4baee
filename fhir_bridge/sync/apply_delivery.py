"""What a delivery must leave alone: what a person has yet to decide, and what the hospital itself said of its own fields.

A record that still says what the clinic said before the hospital changed it has not been changed by the clinic: the hospital's
word becomes its next version. A record that says something of its own is a conflict, and the resource is not written meanwhile.
"""

from collections.abc import Collection, Sequence
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import flat
from fhir_bridge.errors import Refused
from fhir_bridge.store import conflicts, links, outbox, records
from fhir_bridge.store.conflicts import Word
from fhir_bridge.store.records import Stored
from fhir_bridge.sync.apply_compare import NOTHING, Leaves, equal
from fhir_bridge.sync.apply_record import About, Page, newest, open_conflict, with_values
from fhir_bridge.sync.job import Job


def left_alone(job: Job, stored: Stored, keys: Sequence[str], *, dry: bool = False) -> frozenset[str] | None:
    """Those of `keys` (the record's resources) that this delivery must not write; None when a newer version takes its place.

    `dry`: nothing is stored, and a newer version that would be made now is not.
    """
    delivery = job.delivery
    with job.bridge.store.reading() as tx:
        held = {one.ours for one in conflicts.holding(tx, delivery.tenant, delivery.hospital, keys)}
        words = [word for word in conflicts.words(tx, delivery.tenant, delivery.hospital, keys) if word.ours not in held]
    differing = _differing(job, stored, words) if words else []
    if not differing:
        return frozenset(held)
    if dry:
        return frozenset(held | {word.ours for word in differing})
    with job.bridge.store.transaction() as tx:
        page = Page(job.bridge, tx, delivery.tenant, delivery.hospital)
        about = newest(page, delivery.kind, delivery.record_id)
        idle = about.version == delivery.version and outbox.open_attempt(tx, delivery) is None
        if idle and _heard(page, about, stored, differing):
            return None
    return frozenset(held | {word.ours for word in differing})


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
