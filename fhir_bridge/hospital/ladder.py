"""The ladder: for one resource, the best interaction this server offers. Pure.

New: PUT by our own id, conditional create, conditional update, look then create. Known there: update with If-Match, JSON Patch,
a person. To be taken back: entered-in-error where the type has it, else delete.
"""

from dataclasses import replace
from typing import Any

from fhir_bridge.hospital.capabilities import Capabilities, TypeCapabilities
from fhir_bridge.hospital.graph import identity, key_of
from fhir_bridge.hospital.parts import Link, Write
from fhir_bridge.hospital.small_print import PATCHABLE, transitions

Resource = dict[str, Any]

# Where R4 says that a resource was wrong from the start. Types not named have no such word: they are deleted.
_STATUS = frozenset(
    {
        *("Appointment", "CarePlan", "Communication", "DocumentReference", "Encounter", "EpisodeOfCare", "MedicationAdministration"),
        *("Observation", "Procedure", "ServiceRequest", "Task"),
    }
)
_VERIFICATION = {
    "Condition": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    "AllergyIntolerance": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
}
_SERVERS_OWN = ("id", "meta", "text")


def creation(resource: Resource, capabilities: Capabilities) -> Write | str:
    """The write that makes `resource` at the hospital once, or in words why there is none."""
    kind = str(resource["resourceType"])
    can, ours, key = capabilities.of(kind), identity(resource), key_of(resource)
    if kind == "Patient" and _hospital_number(resource, capabilities) is not None:
        return _patient(resource, can)
    if can.update_create and can.can("update"):
        return Write(key, "put", resource, "PUT by our own id: the server creates or updates, and a repeat changes nothing")
    condition = bool(ours) and "identifier" in can.search  # R4 has types that cannot be searched by it: AdverseEvent
    if can.conditional_create and can.can("create") and condition:
        return Write(key, "create-if-none", resource, "conditional create: the server refuses a second one with our identifier")
    if can.conditional_update and can.can("update") and condition:
        return Write(key, "put-if-one", resource, "conditional update on our identifier")
    if kind == "Patient":
        return _patient(resource, can)
    if can.can("create"):
        return Write(key, "look-then-create", resource, "the server offers only a plain create, so it is searched first")
    return f"the server does not take {kind}" if not can.interactions else f"the server does not let others create {kind}"


def _hospital_number(resource: Resource, capabilities: Capabilities) -> str | None:
    """The patient's number at the hospital, if the site file says which system that is and the patient has one."""
    system = capabilities.site.patient_system
    numbers = [each.get("value") for each in resource.get("identifier") or () if isinstance(each, dict) and each.get("system") == system]
    return str(numbers[0]) if system and numbers else None


def _patient(resource: Resource, can: TypeCapabilities) -> Write | str:
    key = key_of(resource)
    if not can.can("search-type") or "identifier" not in can.search:
        return "the patient can be neither found by identifier nor created without making a second one"
    if can.can("create") or (can.update_create and can.can("update")):
        reason = "the patient is looked for by identifier, never by name, and created only when there is none"
        return Write(key, "look-then-create", resource, reason)
    return Write(key, "match", resource, "the patient must be there: found by identifier, never by name")


def change(resource: Resource, link: Link, capabilities: Capabilities) -> tuple[Write, ...] | str:
    """The writes that bring what the hospital holds (`link`) to `resource`, or in words why a person has to."""
    kind, key = str(resource["resourceType"]), key_of(resource)
    can = capabilities.of(kind)
    if can.can("update"):
        if not link.etag and can.update_create and link.id == resource["id"]:
            return (Write(key, "put", resource, "PUT by our own id; no version is known yet"),)
        reason = "update with If-Match, so that a change made there meanwhile is not overwritten"
        return (Write(key, "update", resource, reason, target=link.id, etag=link.etag, read_first=not link.etag),)
    if can.can("patch") or not patch(link, resource, None)[0]:  # where nothing differs, there is nothing to forbid
        return _patches(resource, link, capabilities)
    return f"it was sent before, and the server lets nobody change a {kind}"


def _patches(resource: Resource, link: Link, capabilities: Capabilities) -> tuple[Write, ...] | str:
    kind, key = str(resource["resourceType"]), key_of(resource)
    operations, refused = patch(link, resource, PATCHABLE.get((capabilities.vendor, kind)))
    if refused:
        return f"the server does not let others change {', '.join(refused)}"
    reason = "JSON Patch of what changed, with If-Match"
    steps = _in_steps(operations, link, resource, capabilities)
    first = Write(key, "patch", resource, reason, target=link.id, etag=link.etag, patch=steps[0], read_first=not link.etag)
    return (first, *(replace(first, etag="", patch=step, read_first=True) for step in steps[1:]))


def _in_steps(operations: tuple[Resource, ...], link: Link, resource: Resource, capabilities: Capabilities) -> list[tuple[Resource, ...]]:
    """One patch, or one per status on the way where the vendor allows only certain next ones."""
    status = next((each for each in operations if each["path"] == "/status"), None)
    if status is None or (capabilities.vendor, resource["resourceType"]) != ("oracle", "Appointment"):
        return [operations]
    rest = tuple(each for each in operations if each is not status)
    way = transitions(str((link.document or link.sent or {}).get("status", "")), str(status["value"])) or (str(status["value"]),)
    steps: list[tuple[Resource, ...]] = [({**status, "value": word},) for word in way]
    return [*steps[:-1], (*steps[-1], *rest)]


def patch(link: Link, new: Resource, allowed: frozenset[str] | None) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """(JSON Patch operations, elements that changed but may not be patched), from what we last sent, else from what they hold.

    `add` sets a member whether it is there or not (RFC 6902, 4.1); lists are set whole. `allowed` None: any path.
    """
    held = link.document or {}
    old = link.sent if link.sent is not None else held
    missing = _changed(held, new, "")
    operations: list[Resource] = []
    refused: list[str] = []
    for path, value in sorted(_changed(old, new, "").items()):
        top = path.count("/") == 1
        if top and path[1:] in (*_SERVERS_OWN, "resourceType", "identifier"):
            continue
        if value is not None and not any(path == each or each.startswith(path + "/") or path.startswith(each + "/") for each in missing):
            continue  # the hospital's own, which came to us with its document: it holds it already
        if allowed is not None and not any(path == each or path.startswith(each + "/") for each in allowed):
            refused.append(path[1:].replace("/", "."))
        elif value is not None:
            operations.append({"op": "add", "path": path, "value": value})
        else:
            operations.append({"op": "remove", "path": path})
    return tuple(operations), tuple(refused)


def _changed(old: Resource, new: Resource, path: str) -> dict[str, Any]:
    """What differs, by JSON pointer; None for what is no longer there."""
    found: dict[str, Any] = {}
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        here = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(before, dict) and isinstance(after, dict):
            found |= _changed(before, after, here)
        elif before != after:
            found[here] = after
    return found


def retraction(resource: Resource, link: Link, capabilities: Capabilities) -> tuple[Write, ...] | str:
    """The writes that take `resource` back: as entered in error where R4 and the server can say so, else DELETE, else in words why not."""
    kind = str(resource["resourceType"])
    marked = entered_in_error(resource)
    if marked is not None and isinstance(writes := change(marked, link, capabilities), tuple):
        return writes
    if capabilities.of(kind).can("delete"):
        reason = f"{kind} was retracted here; read before, because servers ignore If-Match on DELETE"
        return (Write(key_of(resource), "delete", resource, reason, target=link.id, etag=link.etag, read_first=True),)
    return f"it was retracted here, and the server lets nobody take back a {kind}"


def entered_in_error(resource: Resource) -> Resource | None:
    """`resource` marked as wrong from the start; None when R4 has no such word for its type."""
    kind = str(resource["resourceType"])
    if kind in _STATUS:
        return {**resource, "status": "entered-in-error"}
    if kind in _VERIFICATION:  # R4 con-5, ait-2: then no clinicalStatus
        marked = {name: value for name, value in resource.items() if name != "clinicalStatus"}
        return {**marked, "verificationStatus": {"coding": [{"system": _VERIFICATION[kind], "code": "entered-in-error"}]}}
    return None


def is_entered_in_error(resource: Resource) -> bool:
    """Whether `resource` says of itself that it was wrong from the start."""
    return resource.get("status") == "entered-in-error" or (
        "entered-in-error" in str((resource.get("verificationStatus") or {}).get("coding", ""))
    )
