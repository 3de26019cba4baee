"""How it stands: one record's way to each hospital, and, for all, what waits, what is stuck and why. Reads only."""

from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.hospital.cards import card
from fhir_bridge.store import dead_letters, hospitals, links, outbox, records
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.dead_letters import BlockedLane
from fhir_bridge.store.links import Link
from fhir_bridge.store.outbox import Attempt, Delivery
from fhir_bridge.sync.bridge import Bridge


def of_record(bridge: Bridge, *, tenant: str, kind: str, id: str) -> dict[str, Any] | None:
    """The record and its deliveries: what was sent, when, as what, and what the hospital kept. None when the tenant has no such record.

    `{id, version, stored_at, record, deliveries: [{hospital, version, state, reason?, card?, attempts: […], resources: […]}]}`.
    """
    with bridge.store.reading() as tx:
        stored = records.current(tx, tenant, kind, id)
        if stored is None:
            return None
        return {
            "id": stored.id,
            "version": stored.version,
            "stored_at": stored.stored_at.isoformat(),
            "record": documents.loads(stored.document, max_bytes=len(stored.document)),
            "deliveries": [_delivery(tx, delivery) for delivery in _newest(outbox.of_record(tx, tenant, kind, id))],
        }


def overview(bridge: Bridge, *, tenant: str | None = None) -> dict[str, Any]:
    """Per hospital: configured or not, open deliveries by state, breaker and pause; and every lane that stands still, with the reason."""
    with bridge.store.reading() as tx:
        counts = dead_letters.counts(tx)
        known = {(row.tenant, row.hospital): row for row in hospitals.listing(tx, tenant)}
        blocked = dead_letters.blocked_lanes(tx, tx.now, tenant)
        dead = dead_letters.dead(tx, tenant)
    configured = {(site.name, name) for site in bridge.sites.values() for name in site.hospitals if tenant in (None, site.name)}
    return {
        "hospitals": [
            _hospital(*key, known=known.get(key), counts=counts, configured=key in configured) for key in sorted(configured | known.keys())
        ],
        "blocked": [_blocked(lane) for lane in blocked],
        "dead": [{"id": delivery.id, "record": f"{delivery.kind}/{delivery.record_id}", **_reason(delivery)} for delivery in dead],
    }


def not_kept(bridge: Bridge, *, tenant: str, kind: str, id: str) -> list[dict[str, Any]]:
    """What of a record the hospitals changed or dropped, by our resource: `{hospital, ours, changed, dropped}`."""
    with bridge.store.reading() as tx:
        verdicts = [(link, documents.loads(link.kept)) for link in links.of_record(tx, tenant, kind, id) if link.kept]
    lost = [(link, verdict) for link, verdict in verdicts if verdict.get("whole") is False]
    return [{"hospital": link.hospital, "ours": link.ours, "changed": v["changed"], "dropped": v["dropped"]} for link, v in lost]


def _newest(deliveries: list[Delivery]) -> list[Delivery]:
    """The last delivery to each hospital; those before it were superseded or are part of the history."""
    return list({delivery.hospital: delivery for delivery in deliveries}.values())


def _delivery(tx: Transaction, delivery: Delivery) -> dict[str, Any]:
    found = links.of_record(tx, delivery.tenant, delivery.kind, delivery.record_id, hospital=delivery.hospital)
    told = {
        "id": delivery.id,
        "hospital": delivery.hospital,
        "version": delivery.version,
        "state": delivery.state,
        "changed_at": delivery.changed_at.isoformat(),
        **_reason(delivery),
        "attempts": [_attempt(attempt) for attempt in outbox.attempts_of(tx, delivery)],
        "resources": [_resource(link) for link in found],
    }
    return told | ({"next_at": delivery.next_at.isoformat()} if delivery.next_at else {})


def _reason(delivery: Delivery) -> dict[str, Any]:
    detail = documents.loads(delivery.detail) if delivery.detail else {}
    if delivery.state != "dead":
        return ({"reason": delivery.reason} if delivery.reason else {}) | detail
    faults = tuple(Fault(**fault) for fault in detail.get("faults", ()))
    told = card(delivery.reason or "", faults, status=detail.get("status", 0))
    return {"reason": delivery.reason, "card": {name: getattr(told, name) for name in type(told).__slots__}}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "request_id": attempt.request_id,
        "started_at": attempt.started_at.isoformat(),
        "outcome": attempt.outcome or "unknown",
    }


def _resource(link: Link) -> dict[str, Any]:
    """One of our resources: our name, the hospital's `Type/id` and version, when, and the verdict on what it kept."""
    return {
        "ours": link.ours,
        "theirs": link.theirs,
        "version": link.version,
        "sent_at": link.updated_at.isoformat(),
        "kept": documents.loads(link.kept) if link.kept else None,
    }


def _hospital(
    tenant: str, name: str, *, known: hospitals.Hospital | None, counts: dict[tuple[str, str, str], int], configured: bool
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "tenant": tenant,
        "hospital": name,
        "configured": configured,
        "open": {state: count for (of, at, state), count in counts.items() if (of, at) == (tenant, name)},
    }
    if known and known.opened_at and known.retry_at:
        told["out_since"] = known.opened_at.isoformat()
        told["tried_again_at"] = known.retry_at.isoformat()
        told["why"] = known.why_open
    if known and known.paused_at:
        told["paused"] = {"since": known.paused_at.isoformat(), "by": known.paused_by, "why": known.paused_why}
    return told


def _blocked(lane: BlockedLane) -> dict[str, Any]:
    return {
        "hospital": lane.hospital,
        "lane": lane.lane,
        "cause": lane.cause,
        "reason": lane.reason,
        "since": lane.since.isoformat(),
        "record": f"{lane.kind}/{lane.record_id}",
        "behind": lane.behind,
    }
