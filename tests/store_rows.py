"""What store tests put in: invented records, and the time they are put in at."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from fhir_bridge.store import outbox, records
from fhir_bridge.store.database import Store, Transaction
from fhir_bridge.store.rows import Attempt, Delivery, Lease
from fhir_bridge.store.tables import records as records_table

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """A database clock that moves when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def put(tx: Transaction, id: str = "S-1", version: int = 1, *, patient: str = "P-1", tenant: str = "clinic") -> bool:
    return records.put(tx, **version_of(id, version, patient=patient, tenant=tenant))


def version_of(id: str, version: int, *, patient: str, tenant: str = "clinic") -> dict[str, Any]:
    document = b'{"id":"%s","version":%d,"weight":71.50}' % (id.encode(), version)
    told = {"tenant": tenant, "kind": "session", "id": id, "version": version, "patient": patient, "now": NOON}
    return told | {"document": document, "sha256": sha256(document).hexdigest()}


def enqueue(
    tx: Transaction, id: str = "S-1", version: int = 1, *, lane: str = "P-1", hospital: str = "north", now: datetime = NOON
) -> Delivery:
    row = version_of(id, version, patient=lane)
    tx.insert_or_ignore(records_table, stored_at=row.pop("now"), **row)  # the outbox takes an older version too: two may come at once
    return outbox.enqueue(tx, tenant="clinic", hospital=hospital, lane=lane, kind="session", record_id=id, version=version, now=now)


def lease(store: Store, worker: str = "w1", seconds: float = 180) -> Lease:
    with store.transaction() as tx:
        found = outbox.lease(tx, worker=worker, seconds=seconds)
    assert found is not None
    return found


def begin(tx: Transaction, held: Lease, delivery: Delivery, step: str = "1") -> Attempt | None:
    return outbox.begin_attempt(tx, held, delivery, step=step, request_id="r-1", body_sha256="0" * 64)


def states(store: Store, id: str = "S-1") -> list[tuple[int, str]]:
    """(version, state) of every delivery of a session."""
    with store.reading() as tx:
        return [(each.version, each.state) for each in outbox.of_record(tx, "clinic", "session", id)]
