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
    return [_ready(mapping, one) for one in connected(bundle.placed(document))]


def _ready(mapping: TwoWay, one: bundle.Placed) -> Ready:
    plain = Ready(one.resource, one.place)
    if told := release.refusal(one.resource):
        return Ready(one.resource, one.place, refusal=Fault(plain.path(told[0]), told[1]))
    found = _understood(mapping, one)
    if name := next(_taken_back(mapping, found.resource), ""):
        reason = "takes back what the resource says, and no template reads it here; the resource is not read"
        return Ready(one.resource, one.place, refusal=Fault(found.path(f"{one.resource['resourceType']}.{name}"), reason))
    return found


def _understood(mapping: TwoWay, one: bundle.Placed) -> Ready:
    """As it was sent where a template reads it so, else said the other way."""
    other = alternatives.rewritten(one.resource)
    if other is None or mapping.from_fhir([one.resource]).record or not mapping.from_fhir([other.resource]).record:
        return Ready(one.resource, one.place)
    return Ready(other.resource, one.place, other.moved)


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
