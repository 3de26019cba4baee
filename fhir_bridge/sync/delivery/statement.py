"""What a hospital's server can do: its CapabilityStatement, fetched once a day, kept in the store, corrected by the site file.

One that changed since it was fetched last is told in sentences, in the audit trail and in `status`, before anything is sent by it.
"""

import logging
from datetime import timedelta
from hashlib import sha256
from typing import Any

from fhir_bridge import documents
from fhir_bridge.hospital.capabilities import Capabilities, SiteFile, difference, read
from fhir_bridge.hospital.client import Call, NoReply
from fhir_bridge.hospital.reply import retry_after
from fhir_bridge.store import audit, hospitals
from fhir_bridge.sync.bridge import Bridge, Hospital
from fhir_bridge.sync.delivery.job import Outage

FRESH = timedelta(hours=24)

log = logging.getLogger(__name__)


def capabilities(bridge: Bridge, *, tenant: str, hospital: Hospital) -> Capabilities | Outage:
    """The hospital's capabilities, or the outage that keeps us from them. Raises `Refused` when the server speaks no FHIR R4."""
    now = bridge.clock()
    if (known := hospital.known.get(tenant)) and now - known[0] < FRESH:
        return known[1]
    with bridge.store.reading() as tx:
        kept = hospitals.statement(tx, tenant, hospital.name)
    if kept is None or now - kept.fetched_at >= FRESH:
        return fetch(bridge, tenant=tenant, hospital=hospital)
    found = read(documents.loads(kept.statement, max_bytes=len(kept.statement)), site=hospital.site_file)
    hospital.known[tenant] = (kept.fetched_at, found)
    return found


def fetch(bridge: Bridge, *, tenant: str, hospital: Hospital) -> Capabilities | Outage:
    """Ask the server now, whatever is kept."""
    told = _asked(hospital)
    if isinstance(told, Outage):
        return told
    found = read(told, site=hospital.site_file)
    statement = documents.canonical(told)
    with bridge.store.transaction() as tx:
        fetched_at = tx.now
        digest = sha256(statement).hexdigest()
        kept = hospitals.keep_statement(tx, tenant, hospital.name, statement=statement, sha256=digest, now=fetched_at)
        if kept.changed_at == fetched_at and (told_apart := changes(kept, hospital.site_file)):
            log.warning("%s: %d changes in its CapabilityStatement; `fhir-bridge status` tells them", hospital.name, len(told_apart))
            audit.write(
                tx, tenant=tenant, actor="worker", action="statement-changed", subject=f"hospital/{hospital.name}",
                detail={"changes": told_apart}, now=fetched_at, key=bridge.audit_key,
            )  # fmt: skip
    hospital.known[tenant] = (fetched_at, found)
    return found


def without_keeping(bridge: Bridge, *, tenant: str, hospital: Hospital) -> Capabilities | Outage:
    """The hospital's capabilities as they are kept, or as it says now; nothing is stored. Raises `Refused` as `capabilities` does."""
    with bridge.store.reading() as tx:
        kept = hospitals.statement(tx, tenant, hospital.name)
    fresh = kept is not None and bridge.clock() - kept.fetched_at < FRESH
    told = documents.loads(kept.statement, max_bytes=len(kept.statement)) if kept and fresh else _asked(hospital)
    return told if isinstance(told, Outage) else read(told, site=hospital.site_file)


def _asked(hospital: Hospital) -> dict[str, Any] | Outage:
    """The CapabilityStatement, as the server shows it."""
    reply = hospital.client.send(Call("GET", "metadata"))
    if isinstance(reply, NoReply):
        return Outage(f"its CapabilityStatement could not be read: {reply.cause}")
    if reply.status != 200:
        return Outage(f"its CapabilityStatement was answered with {reply.status}", after=retry_after(reply, None))
    if not isinstance(reply.body, dict):  # a proxy's page, or half an answer
        return Outage("its CapabilityStatement was answered with something else than FHIR")
    return reply.body


def changes(kept: hospitals.Statement, site: SiteFile) -> list[str]:
    """What the last change of the statement changed for us, one sentence each; empty when it never did."""
    if kept.previous is None:
        return []
    before, after = (documents.loads(text, max_bytes=len(text)) for text in (kept.previous, kept.statement))
    return difference(read(before, site=site), read(after, site=site))
