"""What is known of a hospital's client beyond its key: which hospital it is, where it may be asked, and where it wants its messages."""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

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
    return tx.one(Sender, _OF, tenant=tenant, client=client) or Sender(tenant, client)


_OF = select(*(senders.c[name] for name in Sender.__slots__)).where(
    senders.c.tenant == bindparam("tenant"), senders.c.client == bindparam("client")
)


def with_messages(tx: Transaction, tenant: str) -> list[Sender]:
    """Those that want messages at an address of their own."""
    found = select(*(senders.c[name] for name in Sender.__slots__)).where(senders.c.tenant == tenant)
    return tx.every(Sender, found.where(senders.c.messages_to.is_not(None)).order_by(senders.c.client))
