"""How it stands: one record's way to each hospital, and, for all, what waits, what is stuck and why. Reads only."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic.leaves import schema_path
from fhir_bridge.errors import Fault
from fhir_bridge.hospital.cards import card
from fhir_bridge.store import conflicts, dead_letters, hospitals, links, outbox, pulls, records
from fhir_bridge.store.conflicts import Conflict
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.dead_letters import BlockedLane
from fhir_bridge.store.links import Link
from fhir_bridge.store.outbox import Attempt, Delivery
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.delivery.statement import changes
from fhir_bridge.sync.routes import MESSAGES


def of_record(bridge: Bridge, *, tenant: str, kind: str, id: str) -> dict[str, Any] | None:
    """The record and its deliveries: what was sent, when, as what, and what the hospital kept. None when the tenant has no such record.

    `{id, version, stored_at, record, deliveries: [{hospital, version, state, reason?, card?, attempts: […], resources: […]}], conflicts?}`.
    """
    with bridge.store.reading() as tx:
        stored = records.current(tx, tenant, kind, id)
        if stored is None:
            return None
        told = {
            "id": stored.id,
            "version": stored.version,
            "stored_at": stored.stored_at.isoformat(),
            "record": documents.loads(stored.document, max_bytes=len(stored.document)),
            "deliveries": [_delivery(tx, delivery) for delivery in _newest(outbox.of_record(tx, tenant, kind, id))],
        }
        disputed = [_conflict(one) for one in conflicts.of_record(tx, tenant, kind, id)]
        return told | ({"conflicts": disputed} if disputed else {})


def _conflict(one: Conflict) -> dict[str, Any]:
    """What the hospital has otherwise and keeps until a person decides; the values are shown to that person."""
    told = {"id": one.id, "hospital": one.hospital, "what": one.what, "since": one.opened_at.isoformat()}
    return told | ({"field": schema_path(one.path)} if one.path else {})


def overview(bridge: Bridge, *, tenant: str | None = None) -> dict[str, Any]:
    """Per hospital: configured or not, open deliveries by state, breaker, pause, types whose reading is frozen; and every lane that
    stands still, with the reason.
    """
    with bridge.store.reading() as tx:
        now = tx.now
        counts = dead_letters.counts(tx)
        known = {(row.tenant, row.hospital): row for row in hospitals.listing(tx, tenant)}
        blocked = dead_letters.blocked_lanes(tx, tx.now, tenant)
        dead = dead_letters.dead(tx, tenant)
        statements = {key: kept for key in known if (kept := hospitals.statement(tx, *key))}
        frozen = pulls.frozen(tx, tenant)
    configured = {(site.name, name) for site in bridge.sites.values() for name in site.hospitals if tenant in (None, site.name)}
    return {
        "hospitals": [
            _hospital(*key, known=known.get(key), counts=counts, configured=key in configured or key[1].startswith(MESSAGES))
            | _statement(bridge, key[1], statements.get(key))
            | _frozen([row for row in frozen if (row.tenant, row.hospital) == key])
            for key in sorted(configured | known.keys())
        ],
        "blocked": [_blocked(lane, now) for lane in blocked],
        "dead": [_dead(delivery) for delivery in dead],
    }


def not_kept(bridge: Bridge, *, tenant: str, kind: str, id: str) -> list[dict[str, Any]]:
    """What of a record is not at the hospitals as it was sent, by our resource.

    `{hospital, ours, theirs, visible, changed, dropped, left_out}`: paths, never values.
    """
    with bridge.store.reading() as tx:
        return _lost(links.of_record(tx, tenant, kind, id))


def all_not_kept(bridge: Bridge, *, tenant: str, page: int = 500) -> Iterator[dict[str, Any]]:
    """The same of every record of the site, by hospital and resource; read `page` resources at a time."""
    after = ("", "")
    while True:
        with bridge.store.reading() as tx:
            found = links.judged(tx, tenant, after=after, limit=page)
        yield from _lost(found)
        if len(found) < page:
            return
        after = found[-1].hospital, found[-1].ours


def _lost(found: Iterable[links.Link]) -> list[dict[str, Any]]:
    verdicts = [(link, documents.loads(link.kept)) for link in found if link.kept]
    return [
        {
            "hospital": link.hospital,
            "ours": link.ours,
            "theirs": link.theirs,
            "visible": verdict.get("visible", True),
            **{name: verdict.get(name, []) for name in ("changed", "dropped", "left_out")},
        }
        for link, verdict in verdicts
        if not verdict.get("whole") or verdict.get("left_out")
    ]


def _frozen(rows: list[Pull]) -> dict[str, Any]:
    """The types a pull does not read any more, until a person has looked; nothing where there is none."""
    told = [{"type": row.type, "since": row.frozen_at.isoformat(), "why": row.frozen_why} for row in rows if row.frozen_at]
    return {"frozen": told} if told else {}


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


def _statement(bridge: Bridge, hospital: str, kept: hospitals.Statement | None) -> dict[str, Any]:
    """When the server was last asked what it can do, and what its last change changed."""
    if kept is None:
        return {}
    told: dict[str, Any] = {"fetched_at": kept.fetched_at.isoformat()}
    if kept.changed_at and hospital in bridge.hospitals:
        told |= {"changed_at": kept.changed_at.isoformat(), "changes": changes(kept, bridge.hospitals[hospital].site_file)}
    return {"statement": told}


def _dead(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "tenant": delivery.tenant,
        "hospital": delivery.hospital,
        "record": f"{delivery.kind}/{delivery.record_id}",
        "version": delivery.version,
        "since": delivery.changed_at.isoformat(),
        **_reason(delivery),
    }


def _blocked(lane: BlockedLane, now: datetime) -> dict[str, Any]:
    """`age_seconds` is how long the lane has stood still, `behind` how many deliveries wait behind the first."""
    return {
        "tenant": lane.tenant,
        "hospital": lane.hospital,
        "lane": lane.lane,
        "cause": lane.cause,
        "reason": lane.reason,
        "since": lane.since.isoformat(),
        "age_seconds": max(0, int((now - lane.since).total_seconds())),
        "record": f"{lane.kind}/{lane.record_id}",
        "behind": lane.behind,
    }
