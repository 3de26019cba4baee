"""What is known of a hospital's client beyond its key: which hospital it is, where it may be asked, and where it wants its messages."""

from dataclasses import dataclass

from sqlalchemy import select

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matching_tables import senders


@dataclass(frozen=True, slots=True)
class Sender:
    """`hospital`: a configured one; `origin`: `https://host[:port]` that may be fetched from; `messages_to`: an address within it."""

    tenant: str
    client: str
    hospital: str | None = None
    origin: str | None = None
    messages_to: str | None = None


def put(tx: Transaction, sender: Sender) -> None:
    """What is known from now on."""
    tx.upsert(senders, **{name: getattr(sender, name) for name in Sender.__slots__})


def of(tx: Transaction, tenant: str, client: str) -> Sender:
    """What is known of one client; nothing, for most."""
    found = select(*(senders.c[name] for name in Sender.__slots__))
    return tx.one(Sender, found.where(senders.c.tenant == tenant, senders.c.client == client)) or Sender(tenant, client)
