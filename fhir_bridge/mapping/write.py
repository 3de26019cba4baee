"""Record to resources: every template's resources in order, each changed as little as can be from what was there before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.errors import Fault, Refused
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
    else's resources (`merging`): a stranger's resource changes, and gives birth to no others.
    """

    templates: Mapping[str, Template]
    by_type: Mapping[str, list[Template]]
    faults: list[Fault] = field(default_factory=list)
    merging: bool = False

    def write(self, record: dict[str, Any], onto: Iterable[Resource] = ()) -> Written:
        """Raises `Refused` with every field that cannot be written, by its path in the record."""
        old = self._old(onto)
        self.merging = bool(old)
        resources = []
        for template in self.templates.values():
            for scope in template.scopes(record, self.reference):
                before = old.pop((template.name, *_keys(template, scope)), None)
                resource = self._resource(template, scope, before[1] if before else None)
                if resource is not None:
                    resources.append(resource)
        if self.faults:
            raise Refused(dict.fromkeys(self.faults))
        return Written(resources, [resource for reading, resource in old.values() if reading.says_something()])

    def reference(self, name: str, scope: Scope) -> str | None:
        """`Type/id` of the template's resource at this place of the record, if there is one."""
        template = self.templates[name]
        id = template.id(scope) if template.when.holds(scope) else None
        return f"{template.type}/{id}" if id is not None else None

    def _old(self, onto: Iterable[Resource]) -> dict[tuple[Any, ...], tuple[Reading, Resource]]:
        found: dict[tuple[Any, ...], tuple[Reading, Resource]] = {}
        for resource in onto:
            reading = read_resource(self.by_type, resource)
            if isinstance(reading, Reading) and not reading.template.only_to_fhir and (keys := reading.keys()) is not None:
                found.setdefault((reading.template.name, *keys), (reading, resource))
        return found

    def _resource(self, template: Template, scope: Scope, old: Resource | None) -> Resource | None:
        try:
            if old is not None:
                return template.resource.write(scope, old)  # type: ignore[no-any-return]
            if (id := template.id(scope)) is None:
                self.faults += () if self.merging else template.unidentified(scope)
                return None
            return with_id(template.resource.write(scope), id)
        except Refused as refused:
            self.faults += refused.faults
            return None


def with_id(resource: Resource, id: str) -> Resource:
    """The resource with its identifier behind its type."""
    return {"resourceType": resource["resourceType"], "id": id, **resource}


def _keys(template: Template, scope: Scope) -> tuple[Any, ...]:
    converters = {hole.path: hole.converter for hole in template.holes}
    return tuple(converters[loop.key_path].meaning(scope.find(loop.key_path)) for loop in template.loops)
