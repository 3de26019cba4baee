"""A record is admitted: proved fit to be sent, and stored with its deliveries and the answer in one transaction.

Nothing is admitted that could not be sent: the first record of each shape is mapped and every resource checked against R4 before it
is stored, and one of the same shape differs only in values that the schema has looked at (`tests/laws/test_law_shape.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fhir_bridge import documents
from fhir_bridge.clinic import records as clinic
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.store import audit, inbox, outbox, records
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync import routes
from fhir_bridge.sync.bridge import Bridge, Site
from fhir_bridge.sync.clinic_words import checked
from fhir_bridge.sync.delivery import dispatch
from fhir_bridge.sync.referrals import index, loop

ACCEPTED = 202
#: shapes of record remembered as fit; a clinic has dozens
MOST_PROVED = 10_000


class KeyReused(Refused):
    """The Idempotency-Key was used before with another body."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record on its way in: in normal form, fit to be sent, with the hash of its one spelling."""

    kind: str
    record: dict[str, Any]
    document: bytes
    sha256: str

    @property
    def id(self) -> str:
        return clinic.identity(self.kind, self.record)

    @property
    def version(self) -> int:
        return clinic.version(self.kind, self.record)

    @property
    def natural_key(self) -> str:
        return f"{self.kind}/{self.id}/{self.version}/{self.sha256}"


def read(site: Site, kind: str, document: Any) -> Arrival:
    """`document` as a record that may be stored; raises `Refused` with every fault of what could not be sent."""
    record = site.records.load(kind, document, zone=site.zone)
    _prove(site, kind, record)
    spelling = documents.canonical(record)
    return Arrival(kind, record, spelling, sha256(spelling).hexdigest())


def _prove(site: Site, kind: str, record: dict[str, Any]) -> None:
    """Raises `Refused` unless `record` is fit to be sent, or one of its shape was."""
    shape = hash(site.records.shape(kind, record))
    if shape in site.proved:
        return
    checked(site.mapping, site.mapping.to_fhir(record))
    if len(site.proved) >= MOST_PROVED:
        site.proved.clear()
    site.proved.add(shape)


def admit(
    bridge: Bridge, *, client: Client, arrival: Arrival, key: str | None = None, body_sha256: str = "",
    action: str, detail: Mapping[str, Any] = MappingProxyType({}), alongside: Callable[[Transaction], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Store `arrival` and put it on its way; the answer to it, the first one again for a `key` that was used for the same body.

    `action` is the word of the audit trail, `detail` is said there beside the version; `alongside` writes, before the record,
    what must be stored with it or not at all. Raises `KeyReused`, `records.VersionTaken`, and the store's `Unavailable`.
    """
    if not key:  # the content itself is the key, however it was spelt
        key, body_sha256 = arrival.natural_key, arrival.sha256
    told = (key, body_sha256)

    def written(tx: Transaction) -> dict[str, Any]:
        if alongside:
            alongside(tx)
        answer = _answer(arrival, _hospitals(bridge, tx, client.tenant, arrival))
        _remember(tx, client, key=told[0], body_sha256=told[1], answer=answer)
        _store(bridge, tx, client.tenant, arrival, answer["hospitals"], actor=client.id)
        _audit(bridge, tx, client.tenant, arrival, actor=client.id, action=action, detail=detail)
        fault_point("I3")
        return answer

    try:
        answer = bridge.store.together(written)
    except inbox.KeyTaken:
        answer = first_answer(bridge, client, key, body_sha256) or {}
    fault_point("I4")
    return answer


def admit_within(
    bridge: Bridge,
    tx: Transaction,
    *,
    tenant: str,
    arrival: Arrival,
    actor: str,
    action: str,
    detail: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Store `arrival` and put it on its way within the caller's transaction: what is stored stands or falls with it.

    `detail` is said in the audit trail beside the version. Raises `records.VersionTaken`, and the store's errors.
    """
    _store(bridge, tx, tenant, arrival, _hospitals(bridge, tx, tenant, arrival), actor=actor)
    _audit(bridge, tx, tenant, arrival, actor=actor, action=action, detail=detail)


def first_answer(bridge: Bridge, client: Client, key: str, body_sha256: str) -> dict[str, Any] | None:
    """What was answered under this key; None when it was not used. Raises `KeyReused`."""
    with bridge.store.reading() as tx:
        found = inbox.remembered(tx, tenant=client.tenant, client=client.id, key=key)
    if found is None:
        return None
    if found.body_sha256 != body_sha256:
        raise KeyReused([Fault("", "this Idempotency-Key was used with another body; choose a new key for a new request")])
    answer: dict[str, Any] = documents.loads(found.response)
    return answer


def _hospitals(bridge: Bridge, tx: Transaction, tenant: str, arrival: Arrival) -> list[str]:
    """To whom the record goes; the referral a session names is ours until the commit."""
    if arrival.kind == "session":
        loop.hold(tx, tenant, arrival.record)
    return routes.hospitals_of(bridge, tx, tenant, arrival.kind, arrival.record)


def _answer(arrival: Arrival, hospitals: list[str]) -> dict[str, Any]:
    return {
        "id": arrival.id,
        "version": arrival.version,
        "status": "accepted",
        "url": f"/api/v1/{arrival.kind}s/{arrival.id}",
        "hospitals": hospitals,
    }


def _store(bridge: Bridge, tx: Transaction, tenant: str, arrival: Arrival, hospitals: list[str], *, actor: str) -> None:
    """Nothing when this very version is stored; raises `records.VersionTaken` for another content of it, and for an older version."""
    if records.put(
        tx, tenant=tenant, kind=arrival.kind, id=arrival.id, version=arrival.version, patient=str(arrival.record["patient"]["id"]),
        document=arrival.document, sha256=arrival.sha256, now=tx.now,
    ):  # fmt: skip
        _put_on_its_way(bridge, tx, tenant, arrival, hospitals)
        _tell_referral(bridge, tx, tenant, arrival, actor=actor)


def _put_on_its_way(bridge: Bridge, tx: Transaction, tenant: str, arrival: Arrival, hospitals: list[str]) -> None:
    now, kind, version = tx.now, arrival.kind, arrival.version
    if kind == "referral" and version > 1:  # the first version is told by the hospital's door, which knows the sender
        index.follow(tx, tenant=tenant, site=bridge.sites[tenant], record=arrival.record, now=now)
    lane = lane_of(tenant, str(arrival.record["patient"]["id"]))
    for hospital in hospitals:
        outbox.enqueue(
            tx, tenant=tenant, hospital=hospital, lane=lane, kind=kind, record_id=arrival.id, version=version, now=now,
            alone=version == 1,
        )  # fmt: skip
        dispatch.call(bridge, tx, (tenant, hospital, lane))


def _tell_referral(bridge: Bridge, tx: Transaction, tenant: str, arrival: Arrival, *, actor: str) -> None:
    """The session that answers a referral moves it, in the same transaction."""
    if arrival.kind == "session" and (moved := loop.after(bridge, tx, tenant, arrival.record, actor=actor)):
        told = read(bridge.sites[tenant], "referral", moved.record)
        admit_within(bridge, tx, tenant=tenant, arrival=told, actor=actor, action="follow-referral", detail=moved.detail)


def lane_of(tenant: str, patient: str) -> str:
    """The queue of one patient's deliveries: an id that is always the same and does not say whose."""
    return str(uuid5(NAMESPACE_URL, f"{tenant}/patient/{patient}"))


def _remember(tx: Transaction, client: Client, *, key: str, body_sha256: str, answer: dict[str, Any]) -> None:
    inbox.remember(
        tx, tenant=client.tenant, client=client.id, key=key, body_sha256=body_sha256,
        status=ACCEPTED, response=documents.dumps(answer), now=tx.now,
    )  # fmt: skip


def _audit(
    bridge: Bridge,
    tx: Transaction,
    tenant: str,
    arrival: Arrival,
    *,
    actor: str,
    action: str,
    detail: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    subject, told = f"{arrival.kind}/{arrival.id}", {"version": arrival.version, **detail}
    audit.write(tx, tenant=tenant, actor=actor, action=action, subject=subject, detail=told, now=tx.now, key=bridge.audit_key)
