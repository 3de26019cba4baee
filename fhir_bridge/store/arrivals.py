"""Referral messages between their storing and their answer: how each was asked, so that another process can read it if this one dies.

The bytes are in `referrals_raw`, with the status 0 until they are answered.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared, narrowed
from fhir_bridge.store.referral_tables import referrals_arriving as table
from fhir_bridge.store.referral_tables import referrals_raw as raw
from fhir_bridge.store.referrals import Message, keep

UNANSWERED = 0  # no HTTP status


@dataclass(frozen=True, slots=True)
class Arrival:
    """`message` is the row of `referrals_raw`; the rest is what was asked beside its bytes (as of `Incoming`)."""

    tenant: str
    message: str
    client: str
    base: str
    update: str
    if_none_exist: str
    if_match: str | None
    received_at: datetime


def put(tx: Transaction, arrival: Arrival, message: Message) -> None:
    """The message is stored, and is being read."""
    keep(tx, message)
    tx.run(_PUT, **{name: getattr(arrival, name) for name in Arrival.__slots__})


def settle(tx: Transaction, message: Message) -> None:
    """The message that was put has the answer of this one, and is about its referral; the first answer stands."""
    answered = {name: getattr(message, name) for name in ("status", "answer", "referral")}
    tx.run(_ANSWER, this_tenant=message.tenant, this_id=message.id, **answered)
    tx.run(_FORGET, this_tenant=message.tenant, this_message=message.id)


def drop(tx: Transaction, tenant: str, message: str) -> None:
    """The message said nothing new: it is not kept, unless another process answered it."""
    tx.run(_DROP, this_tenant=tenant, this_id=message)
    tx.run(_FORGET, this_tenant=tenant, this_message=message)


def left_over(tx: Transaction, before: datetime, limit: int) -> list[Arrival]:
    """Those that were put before, and have no answer, in the order in which they came."""
    return [Arrival(*row) for row in tx.run(_LEFT_OVER, before=before, most=limit).rows]


_PUT = Prepared(insert(table))
_UNANSWERED = (*narrowed(raw, "tenant", "id"), raw.c.status == UNANSWERED)
_ANSWER = Prepared(update(raw).where(*_UNANSWERED))
_DROP = Prepared(delete(raw).where(*_UNANSWERED))
_FORGET = Prepared(delete(table).where(*narrowed(table, "tenant", "message")))
_LEFT_OVER = Prepared(
    select(*(table.c[name] for name in Arrival.__slots__))
    .where(table.c.received_at < bindparam("before"))
    .order_by(table.c.received_at, table.c.message)
    .limit(bindparam("most"))
)
