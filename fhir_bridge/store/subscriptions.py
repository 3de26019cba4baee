"""What hospitals were asked to tell us of: one Subscription for each pulled type, and whose address a notification came to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.webhook_tables import subscriptions as table


@dataclass(frozen=True, slots=True)
class Subscription:
    """`theirs` is the hospital's id, None while nobody knows whether it was made; `status` its own word; `address_sha256` hex."""

    tenant: str
    hospital: str
    type: str
    address_sha256: str
    theirs: str | None
    status: str
    looked_at: datetime
    notified_at: datetime | None = None
    notifications: int = 0


def put(tx: Transaction, subscription: Subscription) -> None:
    """Keeps what is known of it; notifications are counted on."""
    known = ("tenant", "hospital", "type", "address_sha256", "theirs", "status", "looked_at")
    tx.upsert(table, **{name: getattr(subscription, name) for name in known})


def listing(tx: Transaction, tenant: str, hospital: str | None = None) -> list[Subscription]:
    """Those at one hospital, or all of a site."""
    found = _select().where(table.c.tenant == tenant).order_by(table.c.hospital, table.c.type)
    return tx.every(Subscription, found.where(table.c.hospital == hospital) if hospital else found)


def of_address(tx: Transaction, address_sha256: str) -> Subscription | None:
    """Whose address this is."""
    return tx.one(Subscription, _select().where(table.c.address_sha256 == address_sha256))


def notified(tx: Transaction, subscription: Subscription, now: datetime) -> None:
    """Counts a notification."""
    mine = update(table).where(table.c.address_sha256 == subscription.address_sha256)
    tx.execute(mine.values(notified_at=now, notifications=table.c.notifications + 1))


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Subscription.__slots__))
