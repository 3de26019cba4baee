"""The resources of a Bundle with every reference that stays inside it written as `Type/id`, so that equal targets look equal.

A Bundle may name its entries by `urn:uuid:`, by absolute addresses or by business identifiers, and mean the same resource
(https://hl7.org/fhir/R4/bundle.html#references). What is not in the Bundle is left as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_bridge.fhir.bundle import Placed

#: whom and which visit a resource is about; here a logical reference must be told from another one
_ABOUT = frozenset({"subject", "patient", "encounter", "context"})
_LOGICAL = frozenset({"identifier", "display", "type", "id"})


@dataclass(frozen=True, slots=True)
class _Names:
    """What the entries are called: by fullUrl, and by type and identifier; and the addresses that are whose in this Bundle."""

    by_url: Mapping[str, str]
    by_identifier: Mapping[tuple[str, str], str]
    addressed: frozenset[str]

    def of(self, reference: str) -> str:
        bare = reference.partition("/_history/")[0]
        if found := self.by_url.get(reference) or self.by_url.get(bare):
            return found
        tail = "/".join(bare.rsplit("/", 2)[-2:])
        # the same type and id on another server is another resource
        return f"{reference}#elsewhere" if tail != bare and tail in self.addressed else reference


def connected(found: Sequence[Placed]) -> list[Placed]:
    """The same resources in the same places; one without an id takes that of its fullUrl. What was given is left unchanged."""
    named = [replace(one, resource=_with_id(one)) for one in found]
    names = _Names(
        {one.full_url: _local(one) for one in named if one.full_url},
        {key: _local(one) for one in named for key in _identifiers(one.resource)},
        frozenset(_local(one) for one in named if one.full_url and one.full_url.startswith("http")),
    )
    return [replace(one, resource=_rewritten(one.resource, names)) for one in named]


def _with_id(one: Placed) -> dict[str, Any]:
    if "id" in one.resource or not one.full_url:
        return one.resource
    return {"id": one.full_url.removeprefix("urn:uuid:").removeprefix("urn:oid:").rsplit("/", 1)[-1], **one.resource}


def _local(one: Placed) -> str:
    return f"{one.resource['resourceType']}/{one.resource.get('id')}"


def _identifiers(resource: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    said = resource.get("identifier")
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, dict) and isinstance(one.get("value"), str) and isinstance(one.get("system"), str):
            yield one["system"], one["value"]


def _rewritten(value: Any, names: _Names, key: str = "") -> Any:
    if isinstance(value, list):
        return [_rewritten(item, names, key) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str):
        return {**value, "reference": names.of(value["reference"])}
    if key in _ABOUT and value.keys() <= _LOGICAL and (identifiers := list(_identifiers(value))):
        return {**value, "reference": names.by_identifier.get(identifiers[0], "identifier:{}|{}".format(*identifiers[0]))}
    return {name: _rewritten(inner, names, name) if isinstance(inner, dict | list) else inner for name, inner in value.items()}
