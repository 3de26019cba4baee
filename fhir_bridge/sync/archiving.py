"""Finished deliveries are put away: in short transactions, each with its row in the audit trail; stopped anywhere, it goes on next time."""

from datetime import datetime, timedelta

from fhir_bridge.store import archive as store
from fhir_bridge.store import audit
from fhir_bridge.sync.bridge import Bridge


def archive(bridge: Bridge, *, days: int, who: str) -> int:
    """Put away every delivery that was closed more than `days` ago; returns how many."""
    with bridge.store.reading() as tx:
        tenants, before = store.tenants(tx), tx.now - timedelta(days=days)
    return sum(of_tenant(bridge, tenant, before=before, who=who) for tenant in tenants)


def of_tenant(bridge: Bridge, tenant: str, *, before: datetime, who: str) -> int:
    """Put away one site's deliveries that were closed before a time."""
    total = 0
    place: store.Place | None = store.FIRST
    while place is not None:
        with bridge.store.transaction() as tx:
            moved, place = store.move(tx, tenant, before=before, after=place)
            if moved:
                detail = {"before": before.isoformat(), "deliveries": moved}
                audit.write(
                    tx, tenant=tenant, actor=who, action="archive", subject="deliveries",
                    detail=detail, now=tx.now, key=bridge.audit_key,
                )  # fmt: skip
        total += moved
    return total
