"""Our resources as a graph of references: their keys, the order to send them in, and how a reference is left out. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_bridge import documents

Resource = dict[str, Any]

_REFERENCE = re.compile(r'"reference":"([A-Z][A-Za-z]{2,40}/[A-Za-z0-9.-]{1,64})"')

# Who stands first when references do not say: people and places, the course, the day, then what happened on it.
_RANK = {
    name: rank
    for rank, name in enumerate(
        (
            *("Organization", "Location", "Practitioner", "Device", "Patient", "RelatedPerson", "ServiceRequest", "EpisodeOfCare"),
            *("Appointment", "Encounter", "Condition", "AllergyIntolerance", "CarePlan", "Procedure", "Medication", "Observation"),
            *("MedicationAdministration", "AdverseEvent", "Communication", "DocumentReference", "Task", "Provenance"),
        )
    )
}
_SPANS = ("period", "effectivePeriod", "performedPeriod")
_WHEN = ("effectiveDateTime", "start", "recordedDate", "date", "authoredOn")

# Reference elements that are 1..1 inside an optional parent (FHIR R4): without the reference the parent goes too.
_PARENT_GOES = frozenset(
    {
        *("AdverseEvent.suspectEntity.instance", "Appointment.participant.actor", "Encounter.diagnosis.condition"),
        *("Encounter.location.location", "EpisodeOfCare.diagnosis.condition", "MedicationAdministration.performer.actor"),
        *("Procedure.performer.actor", "Procedure.focalDevice.manipulated", "Task.output.valueReference", "Task.input.valueReference"),
        *("CarePlan.activity.reference", "DocumentReference.relatesTo.target"),
    }
)
# Without these the resource makes no sense, or is not valid R4.
_ESSENTIAL = {"Provenance": "target"}


def key_of(resource: Resource) -> str:
    """Our key: `Type/<id>`."""
    return f"{resource['resourceType']}/{resource['id']}"


def identity(resource: Resource) -> tuple[str, str] | None:
    """(system, value) of the first identifier with both: ours, the mapping writes it first. AdverseEvent has only one, not a list."""
    found = resource.get("identifier")
    for each in found if isinstance(found, list) else [found]:
        if isinstance(each, dict) and each.get("system") and each.get("value"):
            return str(each["system"]), str(each["value"])
    return None


def coalesced(resources: Iterable[Resource]) -> dict[str, Resource]:
    """One resource per key; of several the last stands (a doubled entry in a transaction may vanish without a word)."""
    return {key_of(resource): resource for resource in resources}


def references(resource: Resource) -> list[str]:
    """Every relative reference in `resource`, repeated as often as it is said.

    They are read off its JSON, several times faster than by a walk; within a text every quote has a backslash before it.
    """
    found: list[str] = _REFERENCE.findall(documents.dumps(resource).decode())
    return found


def substitute(resource: Resource, known: Mapping[str, str]) -> Resource:
    """`resource`, its references to our keys (`Patient/<our id>`) the hospital's (`known[key]` = `Patient/<their id>`).

    It is a copy where there is anything to replace.
    """
    copy: Resource = _substituted(resource, known) if known else resource
    return copy


def renamed(known: Mapping[str, str]) -> dict[str, str]:
    """Those of `known` whose name at the hospital is another than ours: none where it takes our ids."""
    return {ours: theirs for ours, theirs in known.items() if ours != theirs}


def _substituted(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: known.get(inner, inner) if name == "reference" and isinstance(inner, str) else _substituted(inner, known)
            for name, inner in value.items()
        }
    return [_substituted(inner, known) for inner in value] if isinstance(value, list) else value


def without(resource: Resource, gone: Callable[[str], bool]) -> tuple[Resource | None, tuple[str, ...]]:
    """`resource` without the references `gone` holds for, and the paths left out; None when it makes no sense without them.

    A reference with a display keeps the display. A reference to a Patient is never left out.
    """
    missing = [key for key in references(resource) if gone(key)]
    if not missing:
        return resource, ()
    if any(key.startswith("Patient/") for key in missing):
        return None, ("the patient",)
    paths: list[str] = []
    pruned = _pruned(resource, str(resource["resourceType"]), gone, paths)
    essential = _ESSENTIAL.get(str(resource["resourceType"]))
    if pruned is None or (essential is not None and essential not in pruned):
        pruned = None
    return pruned, tuple(sorted(set(paths)))


def _pruned(value: Any, path: str, gone: Callable[[str], bool], paths: list[str]) -> Any:
    """`value` without what is gone; None when nothing of it stays."""
    if isinstance(value, list):
        kept = [pruned for inner in value if (pruned := _pruned(inner, path, gone, paths)) is not None]
        return kept or None
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str) and gone(value["reference"]):
        paths.append(path)
        return {"display": value["display"]} if "display" in value else None
    result = {}
    for name, inner in value.items():
        pruned = _pruned(inner, f"{path}.{name}", gone, paths)
        if pruned is not None:
            result[name] = pruned
        elif f"{path}.{name}" in _PARENT_GOES:
            return None
    return result or None


def order(resources: Mapping[str, Resource], named: Mapping[str, list[str]] | None = None) -> list[tuple[str, ...]]:
    """The keys, referenced before referencing; those that refer to each other in a ring stand together. The same for any input order.

    `named` are the `references` of each, where the caller has looked for them already.
    """
    named = named or {key: references(resource) for key, resource in resources.items()}
    place = {key: number for number, key in enumerate(sorted(resources, key=lambda key: _sort_key(key, resources[key])))}
    edges = {key: sorted({ref for ref in named[key] if ref in place and ref != key}, key=place.__getitem__) for key in place}
    return [tuple(sorted(group, key=place.__getitem__)) for group in _components(place, edges)]


def _sort_key(key: str, resource: Resource) -> tuple[int, str, str]:
    kind = str(resource["resourceType"])
    period: Resource = next((resource[name] for name in _SPANS if isinstance(resource.get(name), dict)), {})
    when = next((resource[name] for name in _WHEN if isinstance(resource.get(name), str)), period.get("start", ""))
    return _RANK.get(kind, len(_RANK)), str(when), key


def _components(keys: Iterable[str], edges: Mapping[str, list[str]]) -> list[list[str]]:
    """Strongly connected components, each after those it points to (Tarjan 1972, with a stack of our own instead of recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    open_: set[str] = set()
    result: list[list[str]] = []
    for root in keys:
        work = [(root, iter(edges[root]))] if root not in index else []
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                open_.add(node)
            child = next((each for each in rest if each not in index or each in open_), None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    result.append(_popped(stack, open_, node))
            elif child in index:
                low[node] = min(low[node], index[child])
            else:
                work.append((child, iter(edges[child])))
    return result


def _popped(stack: list[str], open_: set[str], node: str) -> list[str]:
    group: list[str] = []
    while not group or group[-1] != node:
        group.append(stack.pop())
        open_.discard(group[-1])
    return group
