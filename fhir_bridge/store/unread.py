"""Referrals that are stored as they came and answered, and not read yet; and those that could not be read, for a person.

One row for each referral, gone when it was read. The message is in `referrals_raw`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.prepared import Prepared
from fhir_bridge.store.referral_tables import referrals
from fhir_bridge.store.referral_tables import referrals_unread as table


@dataclass(frozen=True, slots=True)
class Unread:
    """`message` is the row of `referrals_raw`, `base` our door as the sender called it; `why` it cannot be read, None while it waits."""

    tenant: str
    referral: str
    client: str
    message: str
    base: str
    received_at: datetime
    why: str | None = None


def put(tx: Transaction, unread: Unread) -> bool:
    """A new referral; False, and nothing, for one that is known, read or not."""
    return tx.run(_put(tx.on_postgresql), **{name: getattr(unread, name) for name in Unread.__slots__}).rowcount == 1


def forget(tx: Transaction, tenant: str, referral: str) -> bool:
    """It was read; False when it was not here."""
    return tx.run(_FORGET, of_tenant=tenant, of_referral=referral).rowcount == 1


def refuse(tx: Transaction, unread: Unread, why: str) -> bool:
    """It cannot be read, and waits for nothing any more; False when somebody else read it."""
    ours = (table.c.tenant == unread.tenant, table.c.referral == unread.referral, table.c.why.is_(None))
    return tx.execute(update(table).where(*ours).values(why=why)).rowcount == 1


def tenants(tx: Transaction) -> list[str]:
    """Those that have something to read."""
    return [tenant for (tenant,) in tx.run(_TENANTS).rows]


def waiting(tx: Transaction, tenant: str, limit: int) -> list[Unread]:
    """What is to be read, in the order in which it came."""
    return [Unread(*row) for row in tx.run(_WAITING, of_tenant=tenant, most=limit).rows]


def refused(tx: Transaction, tenant: str) -> list[Unread]:
    """What could not be read, the oldest first."""
    return tx.every(Unread, _select().where(table.c.tenant == tenant, table.c.why.is_not(None)).order_by(table.c.received_at))


@cache
def _put(on_postgresql: bool) -> Prepared:
    known = exists().where(referrals.c.tenant == bindparam("tenant"), referrals.c.id == bindparam("referral"))
    row = select(*(bindparam(name, type_=table.c[name].type) for name in Unread.__slots__)).where(~known)
    insert = (postgresql.insert if on_postgresql else sqlite.insert)(table)
    return Prepared(insert.from_select(list(Unread.__slots__), row).on_conflict_do_nothing())


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Unread.__slots__))


_FORGET = Prepared(delete(table).where(table.c.tenant == bindparam("of_tenant"), table.c.referral == bindparam("of_referral")))
_TENANTS = Prepared(select(table.c.tenant).distinct().where(table.c.why.is_(None)))
_WAITING = Prepared(
    _select()
    .where(table.c.tenant == bindparam("of_tenant"), table.c.why.is_(None))
    .order_by(table.c.received_at, table.c.referral)
    .limit(bindparam("most"))
)
