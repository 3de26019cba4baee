"""What a hospital shows is laid beside what we know of it: an echo of our own write, or a change, which goes to the field's owner.

Everything happens in the caller's transaction, so that a page's changes and the cursor behind it are stored together or not at all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital.entries import etag_of
from fhir_bridge.hospital.seen import Seen, of_resource
from fhir_bridge.store import links
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.links import Shown
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery import held
from fhir_bridge.sync.pulling import whole
from fhir_bridge.sync.pulling.compare import is_unchanged, says_the_same
from fhir_bridge.sync.pulling.record import Page, apply_record, back_again, seen_of


@dataclass(frozen=True, slots=True)
class Applied:
    """How many resources of a page came to which outcome.

    `echo`: our own write, or seen before · `older` than what was seen before · `decorated`: another version that says the same to us
    · `applied`: a version of the clinic's record · `conflict`: a field that is not the hospital's, or that both changed · `deleted`,
    `retracted`, `merged`, `duplicate`: a card for a person · `adopted`: ours, its answer was lost · `left` behind: no record of the
    clinic speaks of it any more · `stranger`: not a resource of ours.
    """

    counts: Counter[str] = field(default_factory=Counter)


def apply_page(bridge: Bridge, tx: Transaction, *, tenant: str, hospital: str, seen: Sequence[Seen]) -> Applied:
    """Apply what `hospital` showed of its resources, within `tx`. Repeating a page changes nothing. Raises the store's errors."""
    page, counts = Page(bridge, tx, tenant, hospital), Counter[str]()
    latest = _latest(seen)
    known = links.last_shown(tx, tenant, hospital, list(latest))
    changed: list[Seen] = []
    for theirs, one in latest.items():
        standing = whole.adopt(page, one) if theirs not in known else _standing(one, known[theirs])
        if standing == "changed":
            changed.append(one)
        else:
            counts[standing] += 1
    if changed:
        counts.update(_apply(page, changed, known).values())
    return Applied(counts)


def met(bridge: Bridge, tx: Transaction, *, tenant: str, hospital: str, shown: Mapping[str, dict[str, Any]]) -> set[str]:
    """A delivery looked for what it may have written, and met these documents: those (by our key) that the hospital had changed.

    Their change is applied as a pull would have, so that the delivery does not write over it.
    """
    rows = {row.ours: row for row in links.of_ours(tx, tenant, hospital, list(shown)) if row.theirs and row.seen}
    seen = {ours: of_resource(shown[ours]) for ours in rows}
    changed = {ours: one for ours, one in seen.items() if one.version != rows[ours].version}
    if not changed:
        return set()
    known = links.last_shown(tx, tenant, hospital, [one.theirs for one in changed.values()])
    outcomes = _apply(Page(bridge, tx, tenant, hospital), list(changed.values()), known)
    return {ours for ours, one in changed.items() if outcomes.get(one.theirs, "decorated") != "decorated"}


def _latest(seen: Sequence[Seen]) -> dict[str, Seen]:
    """The last word on each resource, by `Type/id`: a history tells several versions of one."""
    found: dict[str, Seen] = {}
    for one in seen:
        before = found.get(one.theirs)
        if before is None or not is_older(one.version, before.version):
            found[one.theirs] = one
    return found


def _standing(one: Seen, known: Sequence[Shown]) -> str:
    versions = {each.version for each in known}
    if one.version and versions == {one.version} and one.resource is not None:
        return "echo"
    return "older" if all(is_older(one.version, version) for version in versions) else "changed"


def _apply(page: Page, changed: Sequence[Seen], known: Mapping[str, Sequence[Shown]]) -> dict[str, str]:
    """By the hospital's `Type/id`, what became of each. What changed of one record is applied together."""
    unchanged = _unchanged(page, changed, known)
    outcomes = dict.fromkeys(unchanged.values(), "decorated")
    shown = {one.theirs: one for one in changed if one.theirs not in outcomes}
    if not shown:
        back_again(page, list(unchanged))
        return outcomes
    rows = links.of_theirs(page.tx, page.tenant, page.hospital, list(shown))
    same = [row for row in rows if _says_the_same(page, row, shown[row.theirs or ""])]
    links.refresh(page.tx, [seen_of(row, shown[row.theirs or ""]) for row in same])
    outcomes |= {row.theirs or "": "decorated" for row in same}
    alike = {row.ours for row in same}
    back_again(page, [*alike, *unchanged])
    rest = {row.ours: row for row in rows if row.ours not in alike}
    speakers = links.spoke_last(page.tx, page.tenant, page.hospital, list(rest))
    groups: dict[tuple[str, str], dict[str, Seen]] = {}
    for ours, row in rest.items():
        one = shown[row.theirs or ""]
        if ours not in speakers:
            links.refresh(page.tx, [seen_of(row, one)])
            outcomes[one.theirs] = "left"
        elif (special := whole.happened(page, row, one)) is not None:
            what, theirs = special
            whole.tell(page, row, one, what=what, theirs=theirs, speaker=speakers[ours])
            outcomes[one.theirs] = what
        else:
            groups.setdefault(speakers[ours], {})[ours] = one
    for (kind, id), fresh in groups.items():
        outcomes |= {fresh[ours].theirs: outcome for ours, outcome in apply_record(page, kind, id, fresh).items()}
    return outcomes


def _unchanged(page: Page, changed: Sequence[Seen], known: Mapping[str, Sequence[Shown]]) -> dict[str, str]:
    """What is another version with the same words, most of what a pull shows: our key to theirs. Nothing is read of it."""
    rows: list[tuple[str, str, str, bytes]] = []
    found: dict[str, str] = {}
    for one in changed:
        now, before = documents.dumps(one.resource), known.get(one.theirs, ())
        if one.resource is not None and before and all(each.seen and is_unchanged(each.seen, now) for each in before):
            rows += [(each.ours, one.version, etag_of(one.version), now) for each in before]
            found |= {each.ours: one.theirs for each in before}
    links.saw(page.tx, page.tenant, page.hospital, rows)
    return found


def _says_the_same(page: Page, row: links.Link, one: Seen) -> bool:
    if one.resource is None or (one.type == "Patient" and whole.merged_into(one.resource) is not None):
        return False
    return says_the_same(page.site, held.link(row), one.resource)


def is_older(version: str, than: str) -> bool:
    """Whether one version of a resource came before another, where the hospital counts its versions (R4 lets it name them as it likes)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
