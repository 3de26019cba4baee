"""The hand of a hospital: it changes what it holds, and what it holds is shown to the bridge as a pull would show it."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from ward import Ward

from fhir_bridge import documents
from fhir_bridge.hospital.seen import Seen
from fhir_bridge.store import audit, conflicts, records
from fhir_bridge.store.conflicts import Conflict
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pulling.apply import apply_page


def change(ward: Ward, kind: str, by: Callable[[dict[str, Any]], Any], *, id: str | None = None) -> None:
    """The hospital changes its one resource of `kind`, or that of `id`: `by` changes the document in place."""
    (found,) = [one for one in ward.held(kind) if id in (None, one["id"])]
    document = deepcopy(found)
    by(document)
    with ward.chart.draft() as draft:
        draft.write(kind, document["id"], document=document, method="PUT")


def delete(ward: Ward, kind: str, id: str) -> None:
    with ward.chart.draft() as draft:
        draft.write(kind, id, document=None, method="DELETE")


def shown(ward: Ward) -> list[Seen]:
    """Every resource the hospital holds or held, in its newest version."""
    with ward.chart.draft() as draft:
        newest = {version.path: version for version in draft.store.log}
    return [Seen(one.type, one.id, str(one.number), one.updated.isoformat(), one.document) for one in newest.values()]


def pulled(bridge: Bridge, ward: Ward, *, hospital: str = "general") -> Counter[str]:
    with bridge.store.transaction() as tx:
        return apply_page(bridge, tx, tenant="default", hospital=hospital, seen=shown(ward)).counts


def record(bridge: Bridge, kind: str, id: str) -> dict[str, Any]:
    """The clinic's record as it stands."""
    with bridge.store.reading() as tx:
        stored = records.current(tx, "default", kind, id)
    assert stored is not None
    found: dict[str, Any] = documents.loads(stored.document)
    return found


def open_conflicts(bridge: Bridge) -> list[Conflict]:
    with bridge.store.reading() as tx:
        return conflicts.listing(tx, "default")


def told(bridge: Bridge, subject: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(actor, action, detail) of every row of the audit trail about `subject`."""
    with bridge.store.reading() as tx:
        return [(row.actor, row.action, documents.loads(row.detail)) for row in audit.of_subject(tx, "default", subject)]
