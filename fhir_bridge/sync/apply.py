"""What a hospital shows is laid beside what we know of it: an echo of our own write, or a change, which goes to the field's owner.

Everything happens in the caller's transaction, so that a page's changes and the cursor behind it are stored together or not at all.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_bridge.store import links
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.seen import Seen


@dataclass(frozen=True, slots=True)
class Applied:
    """How many resources of a page came to which outcome.

    `echo` our own write, or seen before · `older` than what was seen before · `unchanged` another version that says the same to us ·
    `stranger` not a resource of ours.
    """

    counts: Counter[str] = field(default_factory=Counter)


def apply_page(bridge: Bridge, tx: Transaction, *, tenant: str, hospital: str, seen: Sequence[Seen]) -> Applied:
    """Apply what `hospital` showed of its resources, within `tx`. Repeating a page changes nothing. Raises the store's errors."""
    newest = _newest(seen)
    known = links.stamps(tx, tenant, hospital, list(newest))
    counts: Counter[str] = Counter()
    for theirs, one in newest.items():
        counts[_standing(one, known.get(theirs))] += 1
    return Applied(counts)


def _newest(seen: Sequence[Seen]) -> dict[str, Seen]:
    """The last word on each resource, by `Type/id`: a history tells several versions of one."""
    found: dict[str, Seen] = {}
    for one in seen:
        before = found.get(one.theirs)
        if before is None or not is_older(one.version, before.version):
            found[one.theirs] = one
    return found


def _standing(one: Seen, known: list[tuple[str, str]] | None) -> str:
    if known is None:
        return "stranger"
    versions = {version for _, version in known}
    if one.version and versions == {one.version}:
        return "echo"
    if all(is_older(one.version, version) for version in versions):
        return "older"
    return "changed"


def is_older(version: str, than: str) -> bool:
    """Whether one version of a resource came before another, where the hospital counts its versions (R4 lets it name them as it likes)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
