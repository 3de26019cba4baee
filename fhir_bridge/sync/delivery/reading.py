"""Many reads of one hospital in as few calls as it allows: in batches where it takes them, else one by one."""

from collections.abc import Sequence
from typing import Protocol

from fhir_bridge.hospital import wire
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.client import Call, NoReply, Reply
from fhir_bridge.hospital.entries import entry_reply
from fhir_bridge.sync.bridge import Hospital


class Place(Protocol):
    """Where is read: a delivery's hospital, or a reconciliation's."""

    @property
    def hospital(self) -> Hospital: ...

    @property
    def capabilities(self) -> Capabilities: ...


def read_all(job: Place, references: Sequence[str]) -> list[Reply | NoReply]:
    """What the hospital answers to a read of each of `references` (`Type/id`), in this order."""
    if len(references) < 2 or "batch" not in job.capabilities.system:
        return [job.hospital.client.send(Call("GET", each)) for each in references]
    size = job.capabilities.site.entries_per_call
    parts = [references[start : start + size] for start in range(0, len(references), size)]
    return [answer for part in parts for answer in _in_one(job, part)]


def _in_one(job: Place, references: Sequence[str]) -> list[Reply | NoReply]:
    reply = job.hospital.client.send(wire.reading(references))
    if isinstance(reply, NoReply):
        return [reply] * len(references)
    entries = reply.body.get("entry", []) if reply.status == 200 and reply.resource_type == "Bundle" else []
    if len(entries) != len(references):  # it does not do what its statement says
        return [job.hospital.client.send(Call("GET", each)) for each in references]
    return [entry_reply(each, reply) for each in entries]
