"""Record to resources: every template's resources in order, each changed as little as can be from what was there before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.mapping.converters import ABSENT
from fhir_bridge.mapping.parts import Hole, Text, agrees, same_reference
from fhir_bridge.mapping.read import Reading, read_resource
from fhir_bridge.mapping.scope import Scope
from fhir_bridge.mapping.template import Template

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """`resources` say what the record says; `retracted` said something that the record does not say any more."""

    resources: list[Resource]
    retracted: list[Resource]


@dataclass(slots=True)
class Writer:
    """Writes one record with a set of templates.

    Without what identifies it, a resource cannot be made new: that is a fault, unless the record was read out of somebody
    else's resources: a stranger's resource changes, and gives birth to no others.
    """

    templates: Mapping[str, Template]
    by_type: Mapping[str, list[Template]]
    faults: list[Fault] = field(default_factory=list)
    old: dict[tuple[Any, ...], list[tuple[Reading, Resource]]] = field(default_factory=dict)

    def write(self, record: dict[str, Any], onto: Iterable[Resource] = ()) -> Written:
        """Raises `Refused` with every field that cannot be written, by its path in the record."""
        self._read(onto)
        resources, said = [], set()
        for template in self.templates.values():
            for scope in template.scopes(record, self.reference):
                before = self._before(template, scope)
                said.add(id(before))
                resource = self._resource(template, scope, before)
                if resource is not None:
                    resources.append(resource)
        if self.faults:
            raise Refused(dict.fromkeys(self.faults))
        unsaid = (one for found in self.old.values() for one in found if id(one[1]) not in said)
        return Written(resources, [resource for reading, resource in unsaid if reading.says_something()])

    def reference(self, name: str, scope: Scope, before: str | None) -> str | None:
        """`Type/id` of the template's resource at this place of the record, if there is one.

        `before` stays, whoever it names, unless that is another of the old resources: then the record moved, from one patient to
        another, say, and must not be left with the first.
        """
        template = self.templates[name]
        if not template.when.holds(scope):
            return None
        old = self._before(template, scope)
        known = old.get("id") if old is not None else template.id(scope)
        if before is not None and not self._displaced(template, before, old):
            return before
        return f"{template.type}/{known}" if known is not None else before

    def _displaced(self, template: Template, before: str, old: Resource | None) -> bool:
        """Is `before` another of the old resources of this template than `old`?"""
        same = (other for key, found in self.old.items() if key[0] == template.name for _, other in found)
        return any(other is not old and same_reference(before, f"{template.type}/{other.get('id')}") for other in same)

    def _read(self, onto: Iterable[Resource]) -> None:
        for resource in onto:
            reading = read_resource(self.by_type, resource)
            if isinstance(reading, Reading) and not reading.template.only_to_fhir and (keys := reading.keys()) is not None:
                self.old.setdefault((reading.template.name, *keys), []).append((reading, resource))

    def _before(self, template: Template, scope: Scope) -> Resource | None:
        """The old resource that is the one to be written: of the same template and keys, and nothing says that it is another's."""
        found = self.old.get((template.name, *_keys(template, scope)), ()) if self.old else ()
        return next((resource for reading, resource in found if not _another(reading, scope)), None)

    def _resource(self, template: Template, scope: Scope, old: Resource | None) -> Resource | None:
        try:
            if old is not None:
                return template.resource.write(scope, old)  # type: ignore[no-any-return]
            if (known := template.id(scope)) is None:
                self.faults += () if self.old else template.unidentified(scope)
                return None
            return with_id(template.resource.write(scope), known)
        except Refused as refused:
            self.faults += refused.faults
            return None


def with_id(resource: Resource, id: str) -> Resource:
    """The resource with its identifier behind its type."""
    return {"resourceType": resource["resourceType"], "id": id, **resource}


def _keys(template: Template, scope: Scope) -> tuple[Any, ...]:
    converters = {hole.path: hole.converter for hole in template.holes}
    return tuple(converters[loop.key_path].meaning(scope.find(loop.key_path)) for loop in template.loops)


def _another(reading: Reading, scope: Scope) -> bool:
    """Does the old resource say that it is somebody else's: another patient's number, another session's?"""
    said = {one.part.path: one for one in reading.said if isinstance(one.part, Hole) and not one.problem}
    holes = reading.template.identity.holes if isinstance(reading.template.identity, Text) else (reading.template.identity,)
    known = ((hole, said[hole.path].value, scope.find(hole.path)) for hole in holes if hole.path in said)
    return any(value is not ABSENT and not agrees(hole.converter, read, value) for hole, read, value in known)
