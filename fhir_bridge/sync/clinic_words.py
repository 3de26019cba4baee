"""A fault of a resource in the clinic's words: the fields of the record that stand at its path, so that the sender knows what to mend."""

from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import check
from fhir_bridge.mapping import Mapping, Written, explain


def checked(mapping: Mapping, written: Written) -> Written:
    """`written` again, if each of its resources is fit for R4; raises `Refused` with every fault at the record's own field."""
    if faults := [told for resource in written.resources for told in _faults(mapping, resource)]:
        raise Refused(faults)
    return written


def _faults(mapping: Mapping, resource: dict[str, Any]) -> list[Fault]:
    found = check.faults(resource, sending=True)
    leaves = explain.of_resources(mapping, [resource]) if found else []
    return [_told(fault, leaves) for fault in found]


def _told(fault: Fault, leaves: list[explain.Leaf]) -> Fault:
    """At the field, if fields of the record stand at or below the fault's path; a fault of what the templates add stays where it is."""
    below = tuple(fault.path + mark for mark in (".", "["))
    fields = dict.fromkeys(leaf.other for leaf in leaves if leaf.other and (leaf.path == fault.path or leaf.path.startswith(below)))
    if not fields or "." not in fault.path:
        return fault
    return Fault(" and ".join(fields), f"{fault.message}; it becomes {fault.path}")
