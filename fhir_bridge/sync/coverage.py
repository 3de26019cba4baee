"""How much of a document the mapping speaks of: leaf by leaf, and summed up over folders of documents.

A leaf counts as spoken of only if it reaches the record (or, of a record, the resources): what stands in a resource that was
refused, or that nobody could place, does not. The envelope of a Bundle and a server's bookkeeping (`id`, `meta.versionId`,
`meta.lastUpdated`, `meta.source`) are no information of anybody's and are not counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.mapping import Mapping, explain
from fhir_bridge.mapping.explain import UnknownCode
from fhir_bridge.sync import strangers
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.convert import UNSPOKEN

_INDEX = re.compile(r"\[\d+\]")
_PLACE = re.compile(r"^.*ofType\((\w+)\)")
#: the elements that say what a resource is; in one that no template reads, their codes are unknown ones
_TELLING = ("code", "medicationCodeableConcept")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf: the lines that speak of it (`vital-signs.yaml:9`), where it goes or comes from, or why nothing speaks of it."""

    path: str
    lines: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    reason: str = ""

    @property
    def spoken(self) -> bool:
        return bool(self.lines)

    @property
    def kind_of_place(self) -> str:
        """The path without positions: what is counted over documents."""
        return _INDEX.sub("", _PLACE.sub(r"\1", self.path))

    def data(self) -> dict[str, Any]:
        parts = {"path": self.path, "lines": list(self.lines), "is": list(self.others), "reason": self.reason}
        return {name: value for name, value in parts.items() if value}


@dataclass(frozen=True, slots=True)
class Explained:
    """One document: `what` is `record` or `FHIR`."""

    what: str
    leaves: tuple[Leaf, ...]
    unknown: Counter[UnknownCode] = field(default_factory=Counter)

    @property
    def spoken(self) -> int:
        return sum(leaf.spoken for leaf in self.leaves)

    def data(self) -> dict[str, Any]:
        return {"what": self.what, **figures(self.spoken, len(self.leaves)), "leaves": [leaf.data() for leaf in self.leaves],
                "unknown_codes": codes_data(self.unknown)}  # fmt: skip


def figures(spoken: int, leaves: int) -> dict[str, Any]:
    """`{spoken, leaves, percent}`; 100 only when it is all of them, and for nothing at all."""
    percent = 100.0 if spoken == leaves else min(99.9, round(100 * spoken / leaves, 1))
    return {"spoken": spoken, "leaves": leaves, "percent": percent}


def codes_data(unknown: Counter[UnknownCode]) -> list[dict[str, Any]]:
    return [{"table": one.table, "code": one.code, "count": count} for one, count in unknown.most_common()]


def of_document(site: Site, document: Any) -> Explained:
    """A clinic record, a resource, a Bundle, a list of them, or a document with such inside. Raises `Refused` for any other."""
    if found := list(_fhir_in(document)):
        return _of_fhir(site.mapping, found[0] if len(found) == 1 else found)
    return _of_record(site, document)


def _of_record(site: Site, document: Any) -> Explained:
    record = site.records.load(site.records.kind_of(document), document, zone=site.zone)
    lines: dict[str, list[explain.Leaf]] = {}
    for leaf in explain.of_record(site.mapping, record):
        lines.setdefault(leaf.path, []).append(leaf)
    return Explained("record", tuple(_together(path, found) for path, found in lines.items()))


def _together(path: str, found: list[explain.Leaf]) -> Leaf:
    spoken = [leaf for leaf in found if leaf.spoken]
    return Leaf(
        path, _each_once(leaf.line for leaf in spoken), _each_once(leaf.other for leaf in spoken), "" if spoken else found[0].reason
    )


def _of_fhir(mapping: Mapping, document: Any) -> Explained:
    found = strangers.ready(mapping, document)
    leaves = [leaf for one in found if one.refusal for leaf in _unread(mapping, one, f"{one.refusal.path}: {one.refusal.message}")]
    kept = [one for one in found if not one.refusal]
    resources = [one.resource for one in kept]
    not_read = {
        rest.document: rest.reason for rest in mapping.from_fhir(resources).residue if rest.path == resources[rest.document]["resourceType"]
    }
    for leaf in explain.of_resources(mapping, resources):
        one = kept[leaf.document]
        if not one.added(leaf.path):
            leaves.append(_leaf(one, leaf, not_read.get(leaf.document, "")))
    return Explained("FHIR", tuple(leaves), explain.unknown_codes(mapping, resources) + _untold(mapping, resources))


def _unread(mapping: Mapping, one: strangers.Ready, reason: str) -> list[Leaf]:
    return [_leaf(one, leaf, reason) for leaf in explain.of_resources(mapping, [one.resource])]


def _leaf(one: strangers.Ready, leaf: explain.Leaf, not_read: str) -> Leaf:
    path = one.path(leaf.path)
    if not_read or not leaf.spoken:
        return Leaf(path, reason=not_read or leaf.reason or UNSPOKEN)
    return Leaf(path, (leaf.line,), (leaf.other,) if leaf.other else ())


def _untold(mapping: Mapping, resources: list[dict[str, Any]]) -> Counter[UnknownCode]:
    """The codes of what no template reads: a vital sign of the sender's that nobody here has a row for."""
    found: Counter[UnknownCode] = Counter()
    known = {index for index, _, _ in mapping.spoken(resources)}
    for resource in (resource for index, resource in enumerate(resources) if index not in known):
        for name in _TELLING:
            found.update(UnknownCode(f"{resource['resourceType']}.{name}", code) for code in explain.codes_in(resource.get(name)))
    return found


def _fhir_in(document: Any) -> Iterator[Any]:
    """The outermost resources in a document of any shape."""
    if isinstance(document, dict) and isinstance(document.get("resourceType"), str):
        yield document
    else:
        inner = document if isinstance(document, list) else document.values() if isinstance(document, dict) else ()
        for value in inner:
            yield from _fhir_in(value)


def _each_once(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
