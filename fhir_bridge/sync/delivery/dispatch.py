"""Where workers are called to a lane: on PostgreSQL, within the transaction that gives it work; on SQLite the worker looks itself."""

from fhir_bridge.store import outbox
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge

Lane = tuple[str, str, str]  # tenant, hospital, lane


def call(bridge: Bridge, tx: Transaction, lane: Lane) -> None:
    """Have `lane`, to which `tx` just gave work, drained after the commit. The caller holds the lane's row (`outbox.enqueue` does)."""
    if bridge.dispatch is not None:
        bridge.dispatch.call(tx, lane)


def due(bridge: Bridge, limit: int) -> list[Lane]:
    """Up to `limit` lanes that have something to do now and nobody at it."""
    with bridge.store.reading() as tx:
        return outbox.due(tx, limit=limit)
