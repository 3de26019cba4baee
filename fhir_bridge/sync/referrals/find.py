"""Which resources of a message are the referral: the one order, its Task, its patient. References are connected, contained parts lifted.

A message has one referral. What it refers to and does not bring along is not fetched: the sender is told to send it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import bundle, release
from fhir_bridge.fhir.connected import connected

_MODIFIERS = ("modifierExtension", "implicitRules")


@dataclass(frozen=True, slots=True)
class Found:
    """The order, its patient, its Task and MessageHeader (empty where there is none), and all that was sent, by `Type/id`."""

    order: dict[str, Any]
    patient: dict[str, Any]
    task: dict[str, Any]
    header: dict[str, Any]
    sent: Mapping[str, dict[str, Any]]


def find(document: Any) -> Found:
    """The referral in a ServiceRequest, a Task or a Bundle; raises `Refused` when there is not exactly one, or a part was not sent."""
    named = connected(bundle.placed(document))
    if faults := [Fault(*told) for one in named if (told := release.refusal(one.resource))]:
        raise Refused(faults)
    sent = {f"{one['resourceType']}/{one['id']}": one for one in _lifted(one.resource for one in named)}
    task = _only(sent, "Task")
    header = _only(sent, "MessageHeader")
    order = _order(sent, task, header)
    subject = order.get("subject", {}).get("reference")
    patient = sent.get(str(subject), {})
    if patient.get("resourceType") != "Patient":
        raise Refused(
            [Fault("ServiceRequest.subject", "names a Patient that was not sent; nothing is fetched: send it contained or in the Bundle")]
        )
    for one in filter(None, (order, task, patient)):
        _understandable(one)
    return Found(order, patient, task, header, sent)


def _order(sent: Mapping[str, dict[str, Any]], task: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    if task:
        focus = sent.get(str(task.get("focus", {}).get("reference")), {})
        if focus.get("resourceType") != "ServiceRequest":
            raise Refused(
                [Fault("Task.focus", "must be a ServiceRequest that was sent; nothing is fetched: send it contained or in a Bundle")]
            )
        return focus
    focused = [sent.get(str(one.get("reference")), {}) for one in header.get("focus", [])]
    orders = [one for one in focused if one.get("resourceType") == "ServiceRequest"]
    orders = orders or [one for one in sent.values() if one["resourceType"] == "ServiceRequest"]
    if len(orders) != 1:
        raise Refused([Fault("", f"has {len(orders)} ServiceRequests; send exactly one referral in a message")])
    return orders[0]


def _only(sent: Mapping[str, dict[str, Any]], kind: str) -> dict[str, Any]:
    found = [one for one in sent.values() if one["resourceType"] == kind]
    if len(found) > 1:
        raise Refused([Fault("", f"has {len(found)} {kind} resources; send exactly one referral in a message")])
    return found[0] if found else {}


def _understandable(resource: dict[str, Any]) -> None:
    """What changes the meaning of the rest and is not known here must not be passed over (R4: modifier elements)."""
    kind = resource["resourceType"]
    faults = [Fault(f"{kind}.{name}", "changes the meaning of the rest and is not known here") for name in _MODIFIERS if name in resource]
    if resource.get("doNotPerform") is True:
        faults.append(Fault(f"{kind}.doNotPerform", "says that it is not to be done; a referral asks for something"))
    if faults:
        raise Refused(faults)


def _lifted(resources: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Each resource with an id, and what it contains beside it under an id of its own."""
    for index, one in enumerate(resources):
        owner = str(one.get("id") or f"sent-{index}")
        inside = [part for part in one.get("contained", []) if isinstance(part, dict) and part.get("id") and part.get("resourceType")]
        names = {f"#{part['id']}": f"{part['resourceType']}/{owner}.{part['id']}" for part in inside}
        outer = {name: value for name, value in one.items() if name != "contained"} | {"id": owner}
        yield _renamed(outer, names) if names else outer
        for part in inside:
            yield _renamed({**part, "id": f"{owner}.{part['id']}"}, names)


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(one, names) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _renamed(value, names) for name, value in node.items()}
    reference = kept.get("reference")
    return kept | {"reference": names[reference]} if isinstance(reference, str) and reference in names else kept
