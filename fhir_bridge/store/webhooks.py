"""The clinic's receivers of changes: each has its own place in the feed, and one sender at a time by a lease that fences its writes.

Up to `cursor` a receiver took everything, but for the messages kept here: those wait to be sent again, or are dead until a person
tries them again. A receiver that fails `LIMIT` times in a row is resting: nothing new is sent to it while a message waits, so an
outage keeps the cursor where it is instead of filling this table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, or_, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.tables import audit_heads
from fhir_bridge.store.webhook_tables import webhook_messages as messages
from fhir_bridge.store.webhook_tables import webhooks as table

LIMIT = 3


class LeaseLost(BridgeError):
    """Another sender holds the receiver, or it was removed: write nothing more."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. `secret` and `old_secret` are sealed; the old one signs too until `old_until`. `cursor`: see the module."""

    tenant: str
    id: str
    url: str
    secret: str
    old_secret: str | None
    old_until: datetime | None
    cursor: int
    failures: int
    token: int
    created_at: datetime
    created_by: str
    stopped_at: datetime | None
    why_stopped: str | None

    @property
    def resting(self) -> bool:
        return self.failures >= LIMIT


@dataclass(frozen=True, slots=True)
class Message:
    """The change `seq`, which the receiver did not take `attempts` times; `status` of its last answer, if there was one, and why."""

    tenant: str
    webhook: str
    seq: int
    attempts: int
    next_at: datetime | None
    last_at: datetime
    status: int | None
    cause: str
    dead_at: datetime | None


def add(tx: Transaction, *, tenant: str, id: str, url: str, secret: str, cursor: int, who: str, now: datetime) -> None:
    """A new receiver, told of what comes after `cursor`."""
    tx.execute(table.insert(), tenant=tenant, id=id, url=url, secret=secret, cursor=cursor, created_at=now, created_by=who)


def remove(tx: Transaction, tenant: str, id: str) -> bool:
    """Forgets the receiver and its messages; False when there is none. A sender at it loses its lease."""
    tx.execute(delete(messages).where(messages.c.tenant == tenant, messages.c.webhook == id))
    return tx.execute(delete(table).where(*_at(tenant, id))).rowcount == 1


def of(tx: Transaction, tenant: str, id: str) -> Webhook | None:
    return tx.one(Webhook, _select().where(*_at(tenant, id)))


def listing(tx: Transaction, tenant: str) -> list[Webhook]:
    """The receivers of a site, the first first."""
    return tx.every(Webhook, _select().where(table.c.tenant == tenant).order_by(table.c.created_at, table.c.id))


def rotate(tx: Transaction, tenant: str, id: str, *, secret: str, old_until: datetime) -> None:
    """Signs with `secret` from now on, and with the one before too until `old_until`."""
    tx.execute(update(table).where(*_at(tenant, id)).values(old_secret=table.c.secret, old_until=old_until, secret=secret))


def revive(tx: Transaction, tenant: str, id: str, *, seq: int | None, now: datetime) -> int:
    """Has the dead messages (or `seq` alone) sent again, with all tries before them, and ends rest and stop; returns how many."""
    tx.execute(update(table).where(*_at(tenant, id)).values(failures=0, stopped_at=None, why_stopped=None))
    dead = [messages.c.tenant == tenant, messages.c.webhook == id, messages.c.dead_at.is_not(None)]
    if seq is not None:
        dead.append(messages.c.seq == seq)
    return tx.execute(update(messages).where(*dead).values(dead_at=None, next_at=now, attempts=0)).rowcount


def messages_of(tx: Transaction, tenant: str, id: str, *, dead: bool, limit: int = 100) -> list[Message]:
    """The messages that wait, or the dead ones; the first of the feed first."""
    which = messages.c.dead_at.is_not(None) if dead else messages.c.next_at.is_not(None)
    found = _messages().where(messages.c.tenant == tenant, messages.c.webhook == id, which)
    return tx.every(Message, found.order_by(messages.c.seq).limit(limit))


def counts(tx: Transaction, tenant: str, id: str) -> tuple[int, int]:
    """How many messages wait, how many are dead."""
    row = tx.first(
        select(func.count(messages.c.next_at), func.count(messages.c.dead_at)).where(messages.c.tenant == tenant, messages.c.webhook == id)
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)


def due(tx: Transaction) -> list[tuple[str, str]]:
    """(tenant, id) of the receivers that have something to be sent and nobody at it."""
    found = tx.rows(select(table.c.tenant, table.c.id).where(*_due(tx.now)).order_by(table.c.tenant, table.c.id))
    return [(tenant, id) for tenant, id in found]


def lease(tx: Transaction, tenant: str, id: str, *, worker: str, seconds: float) -> Webhook | None:
    """The receiver, if it is still due and free, now leased. Its `token` fences what follows."""
    now = tx.now
    free = update(table).where(*_at(tenant, id), *_due(now))
    values = {"token": table.c.token + 1, "lease_until": now + timedelta(seconds=seconds), "lease_worker": worker}
    return of(tx, tenant, id) if tx.execute(free.values(values)).rowcount == 1 else None


def due_messages(tx: Transaction, webhook: Webhook, *, limit: int) -> list[Message]:
    """What is to be sent again now, the longest due first."""
    found = _messages().where(messages.c.tenant == webhook.tenant, messages.c.webhook == webhook.id, messages.c.next_at <= tx.now)
    return tx.every(Message, found.order_by(messages.c.next_at, messages.c.seq).limit(limit))


def waits(tx: Transaction, webhook: Webhook) -> bool:
    """Whether any message waits to be sent again."""
    return bool(tx.execute(select(exists(_waiting(webhook.tenant, webhook.id)))).scalar_one())


def took(tx: Transaction, webhook: Webhook, seq: int, *, cursor: int | None = None) -> None:
    """The receiver took the change `seq`: nothing waits for it any more, and nothing rests. Raises `LeaseLost`."""
    _set(tx, webhook, failures=0, **({} if cursor is None else {"cursor": cursor}))
    tx.execute(delete(messages).where(*_message(webhook, seq)))


def failed(tx: Transaction, webhook: Webhook, message: Message, *, cursor: int | None = None) -> None:
    """The receiver did not take it: kept as `message` says. Raises `LeaseLost`."""
    _set(tx, webhook, failures=table.c.failures + 1, **({} if cursor is None else {"cursor": cursor}))
    tx.upsert(messages, **{name: getattr(message, name) for name in Message.__slots__})


def passed(tx: Transaction, webhook: Webhook, cursor: int) -> None:
    """Up to `cursor` there is nothing more to tell. Raises `LeaseLost`."""
    _set(tx, webhook, cursor=cursor)


def stop(tx: Transaction, webhook: Webhook, *, why: str, now: datetime) -> None:
    """Nothing is sent until a person says so. Raises `LeaseLost`."""
    _set(tx, webhook, stopped_at=now, why_stopped=why)


def release(tx: Transaction, webhook: Webhook) -> None:
    """Gives the receiver back. Raises `LeaseLost`."""
    _set(tx, webhook, lease_until=None, lease_worker=None)


def _set(tx: Transaction, webhook: Webhook, **values: Any) -> None:
    mine = update(table).where(*_at(webhook.tenant, webhook.id), table.c.token == webhook.token)
    if tx.execute(mine.values(values)).rowcount != 1:
        raise LeaseLost("the lease of this receiver has passed to another sender")


def _due(now: datetime) -> Sequence[ColumnElement[bool]]:
    waiting = _waiting(table.c.tenant, table.c.id)
    behind = exists().where(audit_heads.c.tenant == table.c.tenant, audit_heads.c.seq > table.c.cursor)
    fresh = and_(behind, or_(table.c.failures < LIMIT, ~exists(waiting)))
    again = exists(waiting.where(messages.c.next_at <= now))
    return [table.c.stopped_at.is_(None), or_(table.c.lease_until.is_(None), table.c.lease_until <= now), or_(fresh, again)]


def _waiting(tenant: Any, id: Any) -> Select[*tuple[Any, ...]]:
    return select(messages.c.seq).where(messages.c.tenant == tenant, messages.c.webhook == id, messages.c.next_at.is_not(None))


def _message(webhook: Webhook, seq: int) -> Sequence[ColumnElement[bool]]:
    return [messages.c.tenant == webhook.tenant, messages.c.webhook == webhook.id, messages.c.seq == seq]


def _at(tenant: str, id: str) -> Sequence[ColumnElement[bool]]:
    return [table.c.tenant == tenant, table.c.id == id]


def _select() -> Select[*tuple[Any, ...]]:
    return select(*(table.c[name] for name in Webhook.__slots__))


def _messages() -> Select[*tuple[Any, ...]]:
    return select(*(messages.c[name] for name in Message.__slots__))
