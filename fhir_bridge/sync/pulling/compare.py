"""Both sides against what they last agreed on, field by field. Pure: documents and records in, a decision out.

The hospital's documents are read back by the same templates that wrote them, together with what else it holds of the record,
because one field may be said by several resources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import flat, schema_path
from fhir_bridge.fhir.same import same
from fhir_bridge.hospital.parts import Link
from fhir_bridge.sync import strangers
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.delivery import held
from fhir_bridge.sync.pulling.owners import owner

NOTHING: Any = object()
_BOOKKEEPING = frozenset({"id", "meta", "text"})
Leaves = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of what the hospital changed, by path; a value may be `NOTHING`.

    `applied` takes the hospital's value. `agreed` is what the clinic came to say by itself too. `disputed` is for a person: (ours,
    theirs).
    """

    applied: Leaves = field(default_factory=dict)
    agreed: Leaves = field(default_factory=dict)
    disputed: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def decide(before: Leaves, after: Leaves, *, sent: Leaves, ours: Leaves, flying: Leaves) -> Decision:
    """A change of the hospital to its own field is applied; to the clinic's, or to one that the clinic changed too, is disputed.

    `before` is what the hospital showed last, `sent` what we said last (it may keep less than it is sent), `flying` what was on
    its way to it and has arrived.
    """
    found = Decision()
    for path in changes(before, after):
        base, theirs, mine, last = (leaves.get(path, NOTHING) for leaves in (before, after, ours, sent))
        hospitals = owner(path) == "hospital"
        if flying and equal(flying.get(path, NOTHING), theirs):
            continue
        if equal(mine, theirs):
            found.agreed.update({path: theirs} if hospitals and not equal(last, theirs) else {})
        elif hospitals and (equal(mine, base) or equal(mine, last)):
            found.applied[path] = theirs
        else:
            found.disputed[path] = (mine, theirs)
    return found


def changes(before: Leaves, after: Leaves) -> list[str]:
    """The paths at which two readings differ, in the order of the first."""
    return [path for path in dict.fromkeys((*before, *after)) if not equal(before.get(path, NOTHING), after.get(path, NOTHING))]


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a field mean the same; "not there" is a value."""
    if one is NOTHING or other is NOTHING:
        return one is other
    return same(one, other)


@dataclass(frozen=True, slots=True)
class Reading:
    """The fields of a record in what a hospital holds of it; `doubtful` are the schema paths at which its resources disagree."""

    leaves: Leaves
    doubtful: frozenset[str] = frozenset()


def read(site: Site, kind: str, links: Mapping[str, Link]) -> Reading:
    """A record of `kind` in what the hospital holds of it. What it never showed is taken as it was sent."""
    shown = {key: link if link.document else replace(link, document=link.sent) for key, link in links.items()}
    ready = [one.resource for one in strangers.ready(site.mapping, held.as_ours(shown)) if one.refusal is None]
    found = site.mapping.from_fhir(ready)
    return Reading(flat(site.records.kinds[kind].schema, found.record), frozenset(schema_path(one.path) for one in found.conflicts))


def read_sent(site: Site, kind: str, links: Mapping[str, Link]) -> Leaves:
    """The fields of a record of `kind` in what we sent of it last."""
    return read(site, kind, {key: replace(link, document=link.sent) for key, link in links.items() if link.sent}).leaves


def is_unchanged(before: bytes, now: bytes) -> bool:
    """Whether both documents are spelt the same, but for what a server keeps for itself: told without reading either."""
    told = (documents.members(before), documents.members(now))
    for name in _BOOKKEEPING:
        for members in told:
            members.pop(name, None)
    return told[0] == told[1]


def says_the_same(site: Site, link: Link, document: dict[str, Any]) -> bool:
    """Whether nothing that a template reads differs between what was seen before and `document`. One resource, read alone."""
    if link.document is None:
        return False
    before, after = (site.mapping.from_fhir([held.named(link, one)]) for one in (link.document, document))
    unread = any("." not in one.path for one in (*before.residue, *after.residue))
    return not unread and same(before.record, after.record) and before.links == after.links


def taken_back(site: Site, link: Link, document: dict[str, Any]) -> bool:
    """Whether `document` takes itself back in a way that no template reads (entered in error), so that nothing of it counts."""
    return any(one.refusal is not None for one in strangers.ready(site.mapping, held.named(link, document)))


def differing(site: Site, kind: str, link: Link, written: dict[str, Any]) -> set[str]:
    """The paths at which `written` says something else than what we sent last; all of them when nothing is known to be sent."""
    sent, now = (read(site, kind, {"Any/0": replace(link, document=each)}).leaves if each else {} for each in (link.sent, written))
    return set(changes(sent, now))


@dataclass(frozen=True, slots=True)
class Alone:
    """What one changed resource says by itself, before and after: its share of a field that others say too."""

    before: Leaves
    after: Leaves

    @property
    def changed(self) -> list[str]:
        """The paths at which it says something else than before."""
        return changes(self.before, self.after)


def alone(site: Site, kind: str, link: Link, document: dict[str, Any]) -> Alone:
    """The resource of `link` read by itself, as it was and as it is now."""
    before = read(site, kind, {"Any/0": link}).leaves if link.document or link.sent else {}
    return Alone(before, read(site, kind, {"Any/0": replace(link, document=document)}).leaves)


def laid_over(then: Reading, now: Reading, shares: Mapping[str, Alone]) -> tuple[Leaves, Leaves]:
    """Both readings of the whole record; where its resources disagree, the one that changed is heard, and must not go unseen."""

    def hidden(path: str) -> bool:
        return schema_path(path) in now.doubtful or equal(then.leaves.get(path, NOTHING), now.leaves.get(path, NOTHING))

    heard = {path: one for one in shares.values() for path in one.changed if hidden(path)}
    before = {path: one.before.get(path, NOTHING) for path, one in heard.items()}
    after = {path: one.after.get(path, NOTHING) for path, one in heard.items()}
    return {**then.leaves, **before}, {**now.leaves, **after}


def speakers(shares: Mapping[str, Alone], path: str) -> list[str]:
    """Which of the changed resources say the field at `path` anew; the first of them when none does by itself."""
    return [key for key, one in shares.items() if path in one.changed] or [next(iter(shares))]


def own_word(shares: Mapping[str, Alone], flying: Leaves) -> Leaves:
    """The fields of those resources that are what is on its way (`flying`): our own write, which arrived before we heard of it.

    A resource that says anything else is the hospital's word: what it says may be what we are sending by chance.
    """
    found: Leaves = {}
    for one in shares.values() if flying else ():
        if all(equal(flying.get(path, NOTHING), value) for path, value in one.after.items()):
            found |= one.after
    return found
