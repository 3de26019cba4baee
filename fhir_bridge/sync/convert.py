"""A clinic record as FHIR and back, with nothing stored and nothing sent: what the mapping alone says."""

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from fhir_bridge.clinic import records
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import bundle, check
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.plan import Plan, plan
from fhir_bridge.mapping import Mapping, Written


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The record found in a FHIR document, and what of the document is not in it: lines with a path and a reason, no values."""

    record: dict[str, Any]
    residue: tuple[str, ...]
    conflicts: tuple[str, ...]


def map_record(mapping: Mapping, document: Any, *, zone: ZoneInfo | None) -> dict[str, Any]:
    """The transaction Bundle (PUT by our own ids) that `document`, a clinic record of any kind, becomes; raises `Refused`."""
    return bundle.transaction([_put(resource) for resource in _written(mapping, document, zone).resources])


def plan_of(mapping: Mapping, document: Any, *, zone: ZoneInfo | None, able: Capabilities) -> Plan:
    """How the record would be sent, for the first time, to a hospital that can do `able`; raises `Refused`."""
    return plan(able, _written(mapping, document, zone).resources, {})


def checked(written: Written) -> Written:
    """`written` again, if each of its resources is fit for R4; raises `Refused` with every fault, by type and element."""
    if faults := [fault for resource in written.resources for fault in check.faults(resource)]:
        raise Refused(faults)
    return written


def map_back(mapping: Mapping, document: Any) -> ReadBack:
    """The clinic record in `document` (a resource, a Bundle or a list of them); raises `Refused` when it is no FHIR R4."""
    read = mapping.from_fhir(bundle.resources(document))
    if not read.record:
        raise Refused([Fault("", "no template speaks of anything in this document; is it a resource of a kind we know?")])
    return ReadBack(read.record, tuple(map(str, read.residue)), tuple(map(str, read.conflicts)))


def _written(mapping: Mapping, document: Any, zone: ZoneInfo | None) -> Written:
    return checked(mapping.to_fhir(records.load(records.kind_of(document), document, zone=zone)))


def _put(resource: dict[str, Any]) -> bundle.Entry:
    return bundle.Entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource)
