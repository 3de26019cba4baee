"""What was finished long ago moves to tables of its own, so that the tables of work stay as small as the work.

Nothing is deleted: a record's history is still told (`outbox.of_record`, `attempts_of`). Work goes on meanwhile: a transaction
takes the finished deliveries of a few lanes, and nobody writes to those any more.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, exists, func, insert, or_, select, tuple_

from fhir_bridge.store.database import Transaction
from fhir_bridge.store.tables import archived_attempts, archived_deliveries, attempts, deliveries, hospitals, lanes

Place = tuple[str, str]  # hospital, lane
FIRST: Place = ("", "")
_LANE = ("tenant", "hospital", "lane", "seq")


def tenants(tx: Transaction) -> list[str]:
    """Every tenant that ever sent anything."""
    return [row[0] for row in tx.rows(select(hospitals.c.tenant).distinct().order_by(hospitals.c.tenant))]


def move(tx: Transaction, tenant: str, *, before: datetime, after: Place, lanes_at_once: int = 200) -> tuple[int, Place | None]:
    """Moves what was closed before a time in the tenant's next lanes `after` a place; (deliveries moved, where to go on or None)."""
    places = _next_lanes(tx, tenant, after, lanes_at_once)
    if not places:
        return 0, None
    old = [*_between(deliveries, tenant, places[0], places[-1]), *_finished(before)]
    theirs = exists().where(*old, *(attempts.c[name] == deliveries.c[name] for name in _LANE))
    calls = [*_between(attempts, tenant, places[0], places[-1]), theirs]
    _move(tx, attempts, archived_attempts, calls)
    return _move(tx, deliveries, archived_deliveries, old), places[-1]


def count(tx: Transaction, tenant: str, *, before: datetime, most: int) -> int:
    """How many `move` would put away; `most` where they are more."""
    found = select(deliveries.c.seq).where(deliveries.c.tenant == tenant, *_finished(before)).limit(most).subquery()
    return int(tx.execute(select(func.count()).select_from(found)).scalar_one())


def _finished(before: datetime) -> list[ColumnElement[bool]]:
    done = or_(deliveries.c.state != "delivered", deliveries.c.reason.is_(None))  # delivered with a reason: a part of it still waits
    return [deliveries.c.closed_at < before, done]


def _next_lanes(tx: Transaction, tenant: str, after: Place, limit: int) -> list[Place]:
    found = select(lanes.c.hospital, lanes.c.lane).where(lanes.c.tenant == tenant, tuple_(lanes.c.hospital, lanes.c.lane) > after)
    return [(row[0], row[1]) for row in tx.rows(found.order_by(lanes.c.hospital, lanes.c.lane).limit(limit))]


def _between(table: Table, tenant: str, first: Place, last: Place) -> list[ColumnElement[bool]]:
    place = tuple_(table.c.hospital, table.c.lane)
    return [table.c.tenant == tenant, place >= first, place <= last]


def _move(tx: Transaction, source: Table, to: Table, rows: Sequence[ColumnElement[bool]]) -> int:
    names = [column.name for column in source.columns]
    tx.execute(insert(to).from_select(names, select(*(source.c[name] for name in names)).where(*rows)))
    return tx.execute(delete(source).where(*rows)).rowcount
