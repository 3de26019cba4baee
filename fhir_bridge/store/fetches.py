"""Tasks whose order must be fetched at the sender: stored before they are answered, leased by who fetches, tried again, and kept."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.matching_tables import fetches


@dataclass(frozen=True, slots=True)
class Fetch:
    """One Task: `body` as it was sent, `url` its order, `base` our door as the sender called it. `answer` is what was fetched.

    `state` is waiting (until `next_at`), fetched or failed, `why` in words; `referral` what became of it.
    """

    tenant: str
    id: str
    client: str
    url: str
    base: str
    sha256: str
    body: bytes
    received_at: datetime
    state: str
    tries: int
    next_at: datetime | None
    why: str | None = None
    referral: str | None = None
    answer: bytes | None = None


def put(tx: Transaction, fetch: Fetch) -> Fetch:
    """A new one; the one that is there, asked for again if it had failed."""
    if tx.insert_or_ignore(fetches, **{name: getattr(fetch, name) for name in Fetch.__slots__}):
        return fetch
    known = of(tx, fetch.tenant, fetch.id) or fetch
    if known.state != "failed":
        return known
    tx.execute(_one(fetch.tenant, fetch.id).values(state="waiting", next_at=fetch.next_at, why=None))
    return replace(known, state="waiting", next_at=fetch.next_at, why=None)


def of(tx: Transaction, tenant: str, id: str) -> Fetch | None:
    """One, by its id."""
    return tx.one(Fetch, _fetches().where(fetches.c.tenant == tenant, fetches.c.id == id))


def failed(tx: Transaction, tenant: str) -> list[Fetch]:
    """Those that were given up."""
    return tx.every(Fetch, _fetches().where(fetches.c.tenant == tenant, fetches.c.state == "failed").order_by(fetches.c.received_at))


def is_due(tx: Transaction) -> bool:
    """Whether any is; who only looks does not hold the database."""
    return tx.first(select(fetches.c.id).where(fetches.c.state == "waiting", fetches.c.next_at <= tx.now).limit(1)) is not None


def due(tx: Transaction, tenant: str, *, limit: int) -> list[Fetch]:
    """Those of a site that are due, the longest first."""
    found = _fetches().where(fetches.c.tenant == tenant, fetches.c.state == "waiting", fetches.c.next_at <= tx.now)
    return tx.every(Fetch, found.order_by(fetches.c.next_at).limit(limit))


def claim(tx: Transaction, *, seconds: int) -> Fetch | None:
    """The one that has been due the longest, nobody else's for `seconds`; its `tries` are the claim's number."""
    now = tx.now
    due = _fetches().where(fetches.c.state == "waiting", fetches.c.next_at <= now).order_by(fetches.c.next_at).limit(1)
    found = tx.one(Fetch, due.with_for_update(skip_locked=True))
    if found is None:
        return None
    until = now + timedelta(seconds=seconds)
    tx.execute(_one(found.tenant, found.id).values(tries=found.tries + 1, next_at=until))
    return replace(found, tries=found.tries + 1, next_at=until)


def settle(tx: Transaction, claimed: Fetch, **said: Any) -> bool:
    """Write down what became of it (columns of `Fetch`); False when somebody else claimed it since."""
    return tx.execute(_one(claimed.tenant, claimed.id).where(fetches.c.tries == claimed.tries).values(**said)).rowcount == 1


def _one(tenant: str, id: str) -> Any:
    return update(fetches).where(fetches.c.tenant == tenant, fetches.c.id == id)


def _fetches() -> Any:
    return select(*(fetches.c[name] for name in Fetch.__slots__))
