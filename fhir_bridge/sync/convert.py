"""A clinic record as FHIR and back, with nothing stored and nothing sent: what the mapping alone says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from fhir_bridge.clinic import records
from fhir_bridge.clinic.records import Records
from fhir_bridge.clinic.summary import with_summary
from fhir_bridge.clinic.summary.wording import plain
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import bundle, check
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.plan import Plan, plan
from fhir_bridge.mapping import Mapping, Written
from fhir_bridge.mapping.read import Residue
from fhir_bridge.sync import strangers

#: what is said of a leaf that no template has a place for
UNSPOKEN = "nothing speaks of it"


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The record found in a FHIR document, and what of the document is not in it: lines with a path and a reason, no values."""

    record: dict[str, Any]
    residue: tuple[str, ...]
    conflicts: tuple[str, ...]


def map_record(mapping: Mapping, document: Any, *, zone: ZoneInfo | None, kinds: Records = records.OURS) -> dict[str, Any]:
    """The transaction Bundle (PUT by our own ids) that `document`, a clinic record of any kind, becomes; raises `Refused`."""
    return bundle.transaction([_put(resource) for resource in _written(mapping, document, zone, kinds).resources])


def plan_of(mapping: Mapping, document: Any, *, zone: ZoneInfo | None, able: Capabilities, kinds: Records = records.OURS) -> Plan:
    """How the record would be sent, for the first time, to a hospital that can do `able`; raises `Refused`."""
    return plan(able, _written(mapping, document, zone, kinds).resources, {})


def summed_up(mapping: Mapping, record: dict[str, Any]) -> dict[str, Any]:
    """`record` with its summary for people, drawn in the words of the mapping's tables: what is mapped whenever it is shown or sent."""

    def name(table: str, word: str) -> str:
        known = mapping.tables.codes.get(table)
        return (known.names.get(word) if known else None) or plain(table, word)

    return with_summary(record, names=name)


def checked(written: Written) -> Written:
    """`written` again, if each of its resources is fit for R4; raises `Refused` with every fault, by type and element."""
    if faults := [fault for resource in written.resources for fault in check.faults(resource, sending=True)]:
        raise Refused(faults)
    return written


def map_back(mapping: Mapping, document: Any, *, kinds: Records = records.OURS) -> ReadBack:
    """The clinic record in `document`: a resource, a Bundle or a list of them, from any sender.

    What did not reach the record is told leaf by leaf. Raises `Refused` with every path and reason when nothing did.
    """
    found = strangers.ready(mapping, document)
    kept = [one for one in found if one.refusal is None]
    read = mapping.from_fhir([one.resource for one in kept])
    refused = [one.refusal for one in found if one.refusal]
    rest = [Fault(kept[one.document].path(one.path), one.reason) for one in _told(mapping, kept, read.residue)]
    if not read.record:
        nothing = Fault("", "no template speaks of anything in this document; is it a resource of a kind we know?")
        raise Refused([*refused, *_shortened(rest)] or [nothing])
    return ReadBack(_in_order(read.record, kinds), tuple(map(str, [*refused, *rest])), tuple(map(str, read.conflicts)))


def _told(mapping: Mapping, kept: list[strangers.Ready], residue: list[Residue]) -> Iterator[Residue]:
    """The residue; for a resource that was not read, also what in it could not be: a date without a time is why it has no place."""
    for one in residue:
        if not kept[one.document].added(one.path):
            yield one
        if one.path == kept[one.document].resource["resourceType"]:
            for _, _, reading in mapping.spoken([kept[one.document].resource]):
                inside = reading.residue(kept[one.document].resource, one.document)
                yield from (leaf for leaf in inside if leaf.reason != UNSPOKEN)


def _shortened(faults: list[Fault]) -> list[Fault]:
    """Reasons that say why; when there are none, the leaves that nothing speaks of."""
    return [fault for fault in faults if fault.message != UNSPOKEN] or faults


def _in_order(record: dict[str, Any], kinds: Records) -> dict[str, Any]:
    """The fields in the order in which the clinic's door writes them; a record of a part of a session is no less readable."""
    try:
        kind = kinds.kind_of(record)
    except Refused:
        kind = records.KINDS[0]
    ordered: dict[str, Any] = _ordered(record, kinds.fields(kind))
    return ordered


def _ordered(value: Any, tree: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item, tree[0] if isinstance(tree, list) else None) for item in value]
    if not isinstance(value, dict):
        return value
    known = tree if isinstance(tree, dict) else {}
    return {name: _ordered(value[name], known.get(name)) for name in sorted(value, key=[*known, *value].index)}


def _written(mapping: Mapping, document: Any, zone: ZoneInfo | None, kinds: Records) -> Written:
    return checked(mapping.to_fhir(summed_up(mapping, kinds.load(kinds.kind_of(document), document, zone=zone))))


def _put(resource: dict[str, Any]) -> bundle.Entry:
    return bundle.Entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource)
