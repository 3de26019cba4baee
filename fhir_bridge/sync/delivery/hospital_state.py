"""A person stops and starts what is sent to a hospital. Both are written into the audit trail, with who and why."""

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import audit, hospitals
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge


def pause(bridge: Bridge, *, tenant: str, hospital: str, who: str, why: str) -> None:
    """Nothing is leased for `hospital` until `resume`; a call under way is finished. Raises `Refused` for one nobody knows."""
    with bridge.store.transaction() as tx:
        _require_known(bridge, tx, tenant, hospital)
        if hospitals.of(tx, tenant, hospital).paused_at is not None:
            raise Refused([Fault("hospital", "is paused already; `fhir-bridge status` says by whom and why")])
        hospitals.pause(tx, tenant, hospital, who=who, why=why, now=tx.now)
        _audit(bridge, tx, tenant=tenant, hospital=hospital, action="pause", who=who, why=why)


def resume(bridge: Bridge, *, tenant: str, hospital: str, who: str, why: str) -> None:
    """End the pause. Raises `Refused` for a hospital nobody knows, or one that is not paused."""
    with bridge.store.transaction() as tx:
        _require_known(bridge, tx, tenant, hospital)
        if not hospitals.resume(tx, tenant, hospital):
            raise Refused([Fault("hospital", "is not paused")])
        _audit(bridge, tx, tenant=tenant, hospital=hospital, action="resume", who=who, why=why)


def _require_known(bridge: Bridge, tx: Transaction, tenant: str, hospital: str) -> None:
    site = bridge.sites.get(tenant)
    known = {*(site.hospitals if site else ()), *(row.hospital for row in hospitals.listing(tx, tenant))}
    if hospital not in known:
        raise Refused([Fault("hospital", f"this site has none of that name; known: {', '.join(sorted(known)) or 'none'}")])


def _audit(bridge: Bridge, tx: Transaction, *, tenant: str, hospital: str, action: str, who: str, why: str) -> None:
    audit.write(
        tx, tenant=tenant, actor=who, action=action, subject=f"hospital/{hospital}", detail={"why": why}, now=tx.now, key=bridge.audit_key
    )  # fmt: skip
