"""A stored record changed in part: a JSON Merge Patch (RFC 7396) over its newest version makes the next, taken in as any other."""

from hashlib import sha256
from typing import Any

from fhir_bridge import documents
from fhir_bridge.clinic import records as clinic
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import records
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.accept import accept
from fhir_bridge.sync.bridge import Bridge


def amend(
    bridge: Bridge, *, client: Client, kind: str, id: str, patch: dict[str, Any], body: bytes, key: str | None = None
) -> dict[str, Any] | None:
    """`accept`'s answer for the record as `patch` makes it; None when the tenant has no such record.

    A version that `patch` does not name is the next one; a patch that changes nothing makes none. Raises what `accept` raises:
    of two patches at once one is first, and the other is `records.VersionTaken`.
    """
    with bridge.store.reading() as tx:
        newest = records.current(tx, client.tenant, kind, id)
    if newest is None:
        return None
    before = documents.loads(newest.document, max_bytes=len(newest.document))
    head = bridge.sites[client.tenant].records.kinds[kind].head
    after = _next(before, patch, head, version=newest.version)
    if isinstance(after.get(head), dict) and after[head].get("id") != clinic.identity(kind, before):
        raise Refused([Fault(f"{head}.id", "is this record's number and stays as it is; post a new record instead")])
    said = sha256(f"{kind}/{id}\0".encode() + body).hexdigest()
    return accept(bridge, client=client, kind=kind, document=after, body_sha256=said, key=key)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396: a member of `patch` replaces, null removes, objects are merged. Neither is changed."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merged(kept.get(name), value)
    return kept


def _next(before: dict[str, Any], patch: dict[str, Any], head: str, *, version: int) -> dict[str, Any]:
    after: dict[str, Any] = merged(before, patch)
    asked = patch.get(head)
    names_it = isinstance(asked, dict) and asked.get("version") is not None
    if after == before or names_it or not isinstance(after.get(head), dict):
        return after
    return after | {head: after[head] | {"version": version + 1}}
