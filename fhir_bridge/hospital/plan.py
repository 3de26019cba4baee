"""The plan: what goes to this hospital, in which order, by which interaction, and what does not go and why. Pure.

`plan()` makes it from capabilities and our resources; `wire.call_of(step, known)` turns a step into a `Call` when its turn comes.
Each resource is judged in the order of references: what it needs, the hospital's small print, then the ladder. Whatever turns out
not to be sendable changes what refers to it, so the judging is repeated until it is stable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_bridge.hospital import words
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.graph import coalesced, key_of, order, references, substitute, without
from fhir_bridge.hospital.ladder import change, creation, is_entered_in_error, retraction
from fhir_bridge.hospital.parts import Folded, Link, Plan, Step, Unchanged, Waiting, WorkItem, Write
from fhir_bridge.hospital.rungs import steps
from fhir_bridge.hospital.small_print import Fold, Person, Send, Wait, rule
from fhir_bridge.hospital.summary import made_for, with_folded

__all__ = ["Folded", "Link", "Plan", "Step", "Unchanged", "Waiting", "WorkItem", "Write", "plan"]

Resource = dict[str, Any]
NEVER_SENT = "it was entered in error and never sent: there is nothing to take back"


def plan(
    capabilities: Capabilities,
    resources: Iterable[Resource],
    links: Mapping[str, Link],
    *,
    retracted: Iterable[Resource] = (),
) -> Plan:
    """The plan for `resources` (R4 documents with our uuid `id` and relative references to each other).

    `links` maps our `Type/<id>` to what the hospital holds. `retracted` are resources to take back there. The order of
    `resources` does not matter; of several with one identity the last stands.
    """
    wanted = coalesced(resources)
    back = {key: each for key, each in coalesced(retracted).items() if key not in wanted}
    judged = _settled(_Judge(capabilities, wanted, links))
    if judged.folded:
        judged = _with_summary(capabilities, wanted, links, judged)
    groups = [[write for key in group for write in judged.writes.get(key, ())] for group in judged.groups]
    _take_back(back, links, capabilities, judged)
    undone = [judged.writes.get(key, ()) for group in reversed(order(back)) for key in group]
    planned = steps(groups, capabilities) + steps(([write] for writes in undone for write in writes), capabilities)
    return _plan(planned, judged, capabilities, back)


@dataclass
class _Judge:
    """One pass over the record: what becomes of each resource, given what is already known not to go (`gone`)."""

    capabilities: Capabilities
    wanted: dict[str, Resource]
    links: Mapping[str, Link]
    gone: frozenset[str] = frozenset()
    summary: str = ""
    writes: dict[str, tuple[Write, ...]] = field(default_factory=dict)
    folded: dict[str, str] = field(default_factory=dict)
    work: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    unchanged: dict[str, str] = field(default_factory=dict)
    setup: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)

    def run(self) -> None:
        """Judge every resource, referenced before referencing."""
        together = "transaction" in self.capabilities.system
        self.named = {key: references(resource) for key, resource in self.wanted.items()}
        self.groups = order(self.wanted, self.named)
        for group in self.groups:
            for key in group:
                self.judge(key, frozenset(group) if together else frozenset())

    @property
    def missed(self) -> set[str]:
        """What does not reach the hospital."""
        return set(self.folded) | set(self.work)

    def judge(self, key: str, ring: frozenset[str]) -> None:
        """Put `key` where it belongs. `ring`: others that go in the same transaction, so may be referred to before their turn."""
        resource, link = self.wanted[key], self.links.get(key)
        if (reason := self._nothing_to_do(key, resource, link)) is not None:
            self.unchanged[key] = reason
            return
        named = self.named[key]
        if blocker := next((ref for ref in named if ref in self.waiting), None):
            self.waiting[key] = f"it refers to the {blocker.split('/')[0]}, which waits"
            return
        gone = {ref for ref in named if self._unreachable(ref, ring)}
        trimmed, left_out = without(resource, gone.__contains__) if gone else (resource, ())
        if trimmed is None:
            alone = left_out == ("the patient",)
            self._not_as_data(key, f"it makes no sense without {' and '.join(left_out)}, which does not go", foldable=not alone)
            return
        self.expected |= {ref for ref in (references(trimmed) if gone else named) if ref in ring}
        fixed = {ours: theirs for ours, theirs in self.capabilities.site.references.items() if "/" in ours}
        self._by_small_print(key, substitute(trimmed, fixed) if fixed else trimmed, link, left_out)

    def _nothing_to_do(self, key: str, resource: Resource, link: Link | None) -> str | None:
        if key in self.capabilities.site.references:
            return "the hospital's own is used, as the site file says"
        if link is None:
            can = self.capabilities.of(str(resource["resourceType"]))
            wrong = is_entered_in_error(resource) and not can.update_create
            return NEVER_SENT if wrong else None
        if link.sent is not None and link.sent == resource:
            return "the hospital already has it like this"
        if resource["resourceType"] == "Patient" and link.id != resource["id"]:
            return "the patient is the hospital's own: its demographics are not overwritten"
        return None

    def _unreachable(self, ref: str, ring: frozenset[str]) -> bool:
        """Whether a reference to `ref` cannot be written: it does not go, or only later. What is not ours stays as it is."""
        if ref in self.links or ref in self.capabilities.site.references or ref not in self.wanted:
            return False
        if ref in self.gone or ref in self.missed:
            return True
        return ref not in self.writes and ref not in ring

    def _by_small_print(self, key: str, resource: Resource, link: Link | None, left_out: tuple[str, ...]) -> None:
        ruling = rule(self.capabilities.vendor, resource, link, self.capabilities.site)
        if isinstance(ruling, Wait):
            self.waiting[key] = ruling.reason
        elif isinstance(ruling, Fold):
            self.setup += ruling.setup
            self._not_as_data(key, ruling.reason)
        elif isinstance(ruling, Person):
            self.work[key] = ruling.reason
        else:
            self._by_ladder(key, ruling.resource, link, (left_out, ruling.notes, ruling.setup))

    def _by_ladder(self, key: str, resource: Resource, link: Link | None, extra: tuple[tuple[str, ...], ...]) -> None:
        left_out, notes, setup = extra
        found = creation(resource, self.capabilities) if link is None else self._change(key, resource, link)
        if isinstance(found, str):
            if link is None:
                self._not_as_data(key, found)
            else:
                self.work[key] = found
            return
        writes = found if isinstance(found, tuple) else (found,)
        if not all(write.patch for write in writes if write.verb == "patch"):
            self.unchanged[key] = "nothing changed that the hospital keeps"
            return
        named = self.named[key] if resource is self.wanted[key] else references(resource)
        needs = tuple(dict.fromkeys(ref for ref in named if ref in self.wanted and ref not in self.links and ref != key))
        reached = (*(_on_the_way(write, link) for write in writes[:-1]), self.wanted[key])
        self.writes[key] = tuple(
            replace(write, needs=needs, left_out=left_out, notes=notes, ours=ours) for write, ours in zip(writes, reached, strict=True)
        )
        self.setup += setup

    def _change(self, key: str, resource: Resource, link: Link) -> tuple[Write, ...] | str:
        """A whole update takes the resource as it may be sent; a patch is the difference between what we had and have."""
        whole = self.capabilities.of(str(resource["resourceType"])).can("update")
        return change(resource if whole else self.wanted[key], link, self.capabilities)

    def _not_as_data(self, key: str, reason: str, *, foldable: bool = True) -> None:
        """Into the summary, if this hospital takes one and it may hold `key`; else it is a person's."""
        if foldable and key != self.summary and not key.startswith("Patient/") and self._takes_summary():
            self.folded[key] = reason
        else:
            self.work[key] = reason

    def _takes_summary(self) -> bool:
        can = self.capabilities.of("DocumentReference")
        return "DocumentReference/" not in self.gone and (can.can("create") or (can.update_create and can.can("update")))


def _on_the_way(write: Write, link: Link | None) -> Resource:
    """What the hospital has after a patch that is not the last: only the status moved, so a plan made then still sends the rest."""
    before = link.sent if link and link.sent is not None else write.resource
    return {**before, "status": write.patch[0]["value"]}


def _settled(judge: _Judge) -> _Judge:
    """Passes over the record until nothing that was expected in the same transaction turns out not to go."""
    while True:
        judge.run()
        surprises = judge.expected & judge.missed - judge.gone
        if not surprises:
            return _matched_for_nothing(judge)
        judge = _Judge(judge.capabilities, judge.wanted, judge.links, judge.gone | judge.missed, judge.summary)


def _matched_for_nothing(judge: _Judge) -> _Judge:
    """A patient is not looked for when nothing is written about them, nor made known for what was wrong from the start."""
    writes = [write for each in judge.writes.values() for write in each]
    rest = set(judge.wanted) - set(judge.writes)
    if writes and rest and all(judge.unchanged.get(key) == NEVER_SENT for key in rest):
        judge.unchanged |= dict.fromkeys(judge.writes, "nothing is sent about the patient")
        judge.writes.clear()
    elif writes and all(write.verb == "match" for write in writes):
        for write in writes:
            judge.work[write.key] = "nothing about the patient can be sent, so there is no need to look for them"
        judge.writes.clear()
    return judge


def _with_summary(capabilities: Capabilities, wanted: dict[str, Resource], links: Mapping[str, Link], first: _Judge) -> _Judge:
    """The judgement again with the summary document that holds what is folded; without it when it cannot go itself."""
    content = [wanted[key] for group in order(wanted) for key in group if key in first.folded]
    own = next((key for key in sorted(wanted) if key.startswith("DocumentReference/")), None)
    document = with_folded(wanted[own], content) if own else made_for(wanted, content)
    if document is not None:
        key = key_of(document)
        judged = _settled(_Judge(capabilities, {**wanted, key: document}, links, first.gone, key))
        if judged.unchanged.get(key) == NEVER_SENT:  # and so what it would have held never was told
            judged.unchanged |= dict.fromkeys(judged.folded, NEVER_SENT)
            judged.folded.clear()
            return _matched_for_nothing(judged)
        if key in judged.writes or key in judged.unchanged:
            return judged
    return _settled(_Judge(capabilities, wanted, links, first.gone | {"DocumentReference/"}))


def _take_back(back: Mapping[str, Resource], links: Mapping[str, Link], capabilities: Capabilities, judged: _Judge) -> None:
    for key, resource in back.items():
        link = links.get(key)
        if link is None:
            judged.unchanged[key] = "it was retracted before it was sent: there is nothing to take back"
            continue
        ruling = rule(capabilities.vendor, resource, link, capabilities.site)
        found = retraction(ruling.resource if isinstance(ruling, Send) else resource, link, capabilities)
        if isinstance(found, str):
            judged.work[key] = found
        else:
            judged.writes[key] = tuple(replace(write, ours=write.resource) for write in found)


def _plan(planned: tuple[Step, ...], judged: _Judge, capabilities: Capabilities, back: Mapping[str, Resource]) -> Plan:
    everything = {**judged.wanted, **back}
    place = {key: number for number, key in enumerate(key for group in (*judged.groups, *order(back)) for key in group)}

    def sorted_(found: Mapping[str, str]) -> list[tuple[str, str]]:
        return sorted(found.items(), key=lambda item: place[item[0]])

    return Plan(
        steps=planned,
        folded=tuple(Folded(key, judged.summary, reason) for key, reason in sorted_(judged.folded)),
        work=tuple(WorkItem(*each) for each in sorted_(judged.work)),
        waiting=tuple(Waiting(*each) for each in sorted_(judged.waiting)),
        unchanged=tuple(Unchanged(*each) for each in sorted_(judged.unchanged)),
        setup=tuple(sorted(set(judged.setup))) + words.scopes(planned, capabilities),
        hospital=capabilities.software or capabilities.vendor or "the hospital",
        titles={key: words.title(resource) for key, resource in everything.items()},
    )
