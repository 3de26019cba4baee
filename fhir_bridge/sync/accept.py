"""A document of the clinic comes in: read, proved fit to be sent, and stored with its deliveries. A 2xx means this happened.

The same Idempotency-Key (or, without one, the same content) gets the first answer again, and nothing is stored twice.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_bridge.errors import Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.admission import KeyReused, admit, first_answer, read
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import unread

__all__ = ["KeyReused", "accept", "read"]


def accept(
    bridge: Bridge, *, client: Client, kind: str, document: Any, body_sha256: str, key: str | None = None,
    action: str = "accept", detail: Mapping[str, Any] = MappingProxyType({}), alongside: Callable[[Transaction], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Store `document` and put it on its way; returns `{id, version, status, url, hospitals}`. The rest is as of `admit`.

    Raises `Refused` with every fault, `KeyReused`, `records.VersionTaken` when this or a newer version is stored with another
    content, and the store's `Unavailable`; then nothing is stored.
    """
    try:
        arrival = read(bridge.sites[client.tenant], kind, document)
    except Refused:  # what was taken once gets its answer again, even if it would be refused today
        if key and (first := first_answer(bridge, client, key, body_sha256)):
            return first
        raise
    fault_point("I2")
    if "referral" in arrival.record:  # the referral that a session answers moves with it
        unread.catch_up(bridge, client.tenant)
    return admit(
        bridge, client=client, arrival=arrival, key=key, body_sha256=body_sha256, action=action, detail=detail, alongside=alongside
    )
