"""What a hospital's server can do: its CapabilityStatement, fetched once a day, kept in the store, corrected by the site file."""

from datetime import timedelta
from hashlib import sha256

from fhir_bridge import documents
from fhir_bridge.hospital.capabilities import Capabilities, read
from fhir_bridge.hospital.client import Call, NoReply, Reply
from fhir_bridge.store import hospitals
from fhir_bridge.sync.bridge import Bridge, Hospital
from fhir_bridge.sync.job import Outage

FRESH = timedelta(hours=24)


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
    reply = hospital.client.send(Call("GET", "metadata"))
    if isinstance(reply, NoReply):
        return Outage(f"its CapabilityStatement could not be read: {reply.cause}")
    if reply.status != 200:
        return Outage(f"its CapabilityStatement was answered with {reply.status}", after=_retry_after(reply))
    found = read(reply.body, site=hospital.site_file)
    statement = documents.canonical(reply.body)
    with bridge.store.transaction() as tx:
        fetched_at = tx.now
        digest = sha256(statement).hexdigest()
        hospitals.keep_statement(tx, tenant, hospital.name, statement=statement, sha256=digest, now=fetched_at)
    hospital.known[tenant] = (fetched_at, found)
    return found


def _retry_after(reply: Reply) -> float | None:
    said = reply.header("retry-after")
    return float(said) if said.isdecimal() else None
