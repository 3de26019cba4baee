"""Resources from any sender, made ready for the templates: what is not R4, or takes itself back, is refused with path and reason.

References inside a Bundle are connected first, or two resources of one patient would look like two patients'.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.errors import Fault
from fhir_bridge.fhir import alternatives, bundle, release
from fhir_bridge.fhir.connected import connected
from fhir_bridge.mapping import Mapping as TwoWay
from fhir_bridge.mapping.converters import ABSENT

#: codes that say that the rest is not so: where the template does not read them, the resource must not be read without them
_TAKEN_BACK = frozenset({"entered-in-error", "refuted", "not-done", "nullified", "cancelled"})
_STATUSES = ("status", "verificationStatus")
#: a name, number or address that is not the person's any more (`use` is a modifier in R4)
_FORMER = frozenset({"old", "maiden"})


@dataclass(frozen=True, slots=True)
class Ready:
    """A resource as the templates are to read it, its place in the document, where its leaves stood, and why it is refused."""

    resource: dict[str, Any]
    place: str = ""
    moved: Mapping[str, str] = field(default_factory=dict)
    refusal: Fault | None = None

    def path(self, inside: str) -> str:
        """A path inside the resource as a path in the document: `Bundle.entry[3].resource.ofType(Observation).status`."""
        there = next((f"{old}{inside[len(new) :]}" for new, old in self.moved.items() if old and inside.startswith(new)), inside)
        kind, _, rest = there.partition(".")
        return ".".join(part for part in (self.place, f"ofType({kind})" if self.place else kind, rest) if part)

    def added(self, inside: str) -> bool:
        """Was the leaf put there by us?"""
        return self.moved.get(inside) == ""


def ready(mapping: TwoWay, document: Any) -> list[Ready]:
    """The resources of `document` (a resource, a Bundle or a list), in order. Raises `Refused` when it is none of these."""
    found = bundle.placed(document)
    return [_ready(mapping, one, _filled_in(before, one)) for before, one in zip(found, connected(found), strict=True)]


def _filled_in(before: bundle.Placed, one: bundle.Placed) -> dict[str, str]:
    """The references that were put beside a logical one."""
    kind, old = one.resource["resourceType"], before.resource
    added = [name for name, value in one.resource.items() if isinstance(value, dict) and "reference" in value]
    return {f"{kind}.{name}.reference": "" for name in added if "reference" not in old[name]}


def _ready(mapping: TwoWay, one: bundle.Placed, filled_in: dict[str, str]) -> Ready:
    plain = Ready(one.resource, one.place)
    if told := release.refusal(one.resource):
        return Ready(one.resource, one.place, refusal=Fault(plain.path(told[0]), told[1]))
    current, marked = _former_marked(one.resource)
    found = _understood(mapping, Ready(current, one.place, {**filled_in, **marked}))
    if name := next(_taken_back(mapping, found.resource), ""):
        reason = "takes back what the resource says, and no template reads it here; the resource is not read"
        return Ready(one.resource, one.place, refusal=Fault(found.path(f"{one.resource['resourceType']}.{name}"), reason))
    return found


def _former_marked(resource: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Former names, numbers and addresses marked as what no template may read: the current one behind them is found instead."""
    marked: dict[str, Any] = {}
    added: dict[str, str] = {}
    for name, value in resource.items():
        former = {index for index, one in enumerate(value) if _is_former(one)} if isinstance(value, list) else set()
        if former:
            marked[name] = [one | {"modifierExtension": True} if index in former else one for index, one in enumerate(value)]
            added |= {f"{resource['resourceType']}.{name}[{index}].modifierExtension": "" for index in former}
    return ({**resource, **marked}, added) if marked else (resource, {})


def _is_former(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("use"), str) and value["use"] in _FORMER and "modifierExtension" not in value


def _understood(mapping: TwoWay, one: Ready) -> Ready:
    """As it was sent where a template reads it so, else said the other way."""
    other = alternatives.rewritten(one.resource)
    if other is None or mapping.from_fhir([one.resource]).record or not mapping.from_fhir([other.resource]).record:
        return one
    return Ready(other.resource, one.place, {**one.moved, **other.moved})


def _taken_back(mapping: TwoWay, resource: dict[str, Any]) -> Iterator[str]:
    names = [name for name in _STATUSES if _TAKEN_BACK.intersection(_codes(resource.get(name)))]
    if names:
        said = [one for _, _, reading in mapping.spoken([resource]) for one in reading.said]
        read = {one.at[0] for one in said if one.at and not one.problem and one.value is not ABSENT}
        yield from (name for name in names if name not in read)


def _codes(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and isinstance(value.get("coding"), list):
        yield from (one["code"] for one in value["coding"] if isinstance(one, dict) and isinstance(one.get("code"), str))
