"""Resources to a record: what each resource says, what nothing speaks of, and where two of them disagree."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_bridge.mapping.converters import ABSENT
from fhir_bridge.mapping.parts import At, Hole, Ref, Said, dotted, leaves
from fhir_bridge.mapping.scope import Loop
from fhir_bridge.mapping.template import Template

#: what a server keeps for itself: neither the record's nor anybody's information
BOOKKEEPING: frozenset[At] = frozenset({("id",), ("meta", "versionId"), ("meta", "lastUpdated"), ("meta", "source")})


@dataclass(frozen=True, slots=True)
class Residue:
    """A place of a resource that did not reach the record: which resource of those given, where in it, and why."""

    document: int
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One resource as one template understands it."""

    template: Template
    said: list[Said]

    def key_of(self, name: str) -> Any:
        """The key of the loop `name` that this resource belongs to: the first place that says it; ABSENT when none does."""
        loop = next(loop for loop in self.template.loops if loop.name == name)
        return next(
            (one.value for one in self.said if isinstance(one.part, Hole) and one.part.path == loop.key_path and not one.problem), ABSENT
        )

    def keys(self) -> tuple[Any, ...] | None:
        """What tells this resource from others of its template, by meaning; nothing when one of the keys is not said."""
        found = []
        for loop in self.template.loops:
            hole = next(
                (one.part for one in self.said if isinstance(one.part, Hole) and one.part.path == loop.key_path and not one.problem), None
            )
            if hole is None:
                return None
            found.append(hole.converter.meaning(self.key_of(loop.name)))
        return tuple(found)

    def _keys(self) -> Iterator[tuple[Loop, Hole, Any]]:
        for one in self.said:
            for loop in self.template.loops if isinstance(one.part, Hole) and not one.problem else ():
                if isinstance(one.part, Hole) and one.part.path == loop.key_path:
                    yield loop, one.part, one.value

    def says_something(self) -> bool:
        """Was anything read of what makes such a resource exist? Else its absence from a record withdraws nothing."""
        loops = self.template.all_loops
        said = (one.part for one in self.said if isinstance(one.part, Hole) and not one.problem)
        return any(self.template.when.speaks_of(hole.path, loops) for hole in said)

    def references(self) -> Iterable[tuple[str, str]]:
        return ((one.part.template, one.value) for one in self.said if isinstance(one.part, Ref))

    def residue(self, resource: Mapping[str, Any], document: int) -> list[Residue]:
        """Every leaf that nothing understood, with the reason where one is known."""
        kind = str(resource.get("resourceType"))
        spoken = {at for one in self.said if not one.problem for at in one.claims}
        problems = {one.at: one.problem for one in self.said if one.problem}
        found = []
        for at, _ in leaves(resource):
            if at not in spoken and at not in BOOKKEEPING:
                reason = next((problem for place, problem in problems.items() if at[: len(place)] == place), "nothing speaks of it")
                found.append(Residue(document, f"{kind}.{dotted(at)}", reason))
        return found


def read_resource(by_type: Mapping[str, list[Template]], resource: Mapping[str, Any]) -> Reading | str:
    """The resource as the first template reads it that can; else the reason of the one that came nearest."""
    templates = by_type.get(str(resource.get("resourceType")), ())
    nearest, depth = "no template makes such a resource", -1
    for template in templates:
        said: list[Said] = []
        reason = template.resource.read(resource, (), said) or _when(template, said)
        if not reason:
            return Reading(template, said)
        if len(said) > depth:
            nearest, depth = reason, len(said)
    return nearest


def whole(resource: Mapping[str, Any], document: int, reason: str) -> Residue:
    """A resource that was not read at all."""
    return Residue(document, str(resource.get("resourceType")), reason)


def _when(template: Template, said: list[Said]) -> str:
    """`when` must hold for what was read; a field that is there but unreadable counts."""
    if template.only_to_fhir:
        return ""
    if any(isinstance(one.part, Hole) and one.part.path in template.makes for one in said):
        return ""
    return f"says nothing of <{template.when.path}>"
