"""How often each address was refused in the last minute, counted across processes. Nobody who shows a good key is ever counted."""

from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, delete, select, update

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.sign_in_tables import refusals

WINDOW = timedelta(minutes=1)
_NOBODYS = ""  # who could not come in has no tenant
_HERE = refusals.c.address == bindparam("at")
_OVER = refusals.c.since <= bindparam("over")
_COUNTED = select(refusals.c.since, refusals.c.times).where(refusals.c.tenant == _NOBODYS, _HERE)
_ONE_MORE = (
    update(refusals)
    .where(refusals.c.tenant == _NOBODYS, _HERE)
    .values(
        since=case((_OVER, bindparam("began", type_=refusals.c.since.type)), else_=refusals.c.since),
        times=case((_OVER, 1), else_=refusals.c.times + 1),
    )
)
_FORGET = delete(refusals).where(refusals.c.tenant == _NOBODYS, refusals.c.since <= bindparam("over"))


def wait(tx: Transaction, address: str, *, limit: int, now: datetime) -> int:
    """Seconds until `address`, refused `limit` times in this minute, is told why again; 0 when it was refused less often."""
    since, times = tx.first(_COUNTED, at=address) or (now, 0)
    left: timedelta = since + WINDOW - now
    return max(1, round(left.total_seconds())) if times >= limit and left > timedelta(0) else 0


def count(tx: Transaction, address: str, *, now: datetime) -> None:
    """One more refusal; the first of a new minute begins it, and forgets what is long over."""
    over = now - WINDOW
    if tx.execute(_ONE_MORE, at=address, over=over, began=now).rowcount == 0:
        tx.insert_or_ignore(refusals, tenant=_NOBODYS, address=address, since=now, times=1)
        tx.execute(_FORGET, over=over - WINDOW)
