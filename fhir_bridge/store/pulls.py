"""Where each pull stands: who reads a type at a hospital, how far it was read, what was last seen, and what is frozen.

One row for each (tenant, hospital, type) is leased like a lane: `token` only grows, and every finishing write shows it. The page
cursor and what the page brought are written in one transaction; the watermark is written last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, bindparam, func, or_, select, update

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.among import among
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.pull_tables import pulled
from fhir_bridge.store.pull_tables import pulls as table
from fhir_bridge.store.tables import attempts, deliveries, link_records, links


class PullLost(BridgeError):
    """Another puller holds this type: write nothing more."""


@dataclass(frozen=True, slots=True)
class Pull:
    """One type at one hospital. `watermark`, `since` and `server_clock` are the hospital's time, the others the database's.

    `next_page` is the path of the page at which an unfinished crawl goes on; `since` and `server_clock` are that crawl's.
    """

    tenant: str
    hospital: str
    type: str
    token: int = 0
    lease_until: datetime | None = None
    lease_holder: str | None = None
    watermark: datetime | None = None
    crawl: int = 0
    next_page: str | None = None
    since: datetime | None = None
    server_clock: datetime | None = None
    finished_at: datetime | None = None
    frozen_at: datetime | None = None
    frozen_why: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one of our resources at the hospital: from a link (`ours` is set) or from what a pull saw last."""

    version: str
    at: datetime
    last_updated: datetime | None = None
    gone: bool = False
    ours: str = ""
    missing: int = 0


def of(tx: Transaction, tenant: str, hospital: str, type: str) -> Pull:
    """How this pull stands; one that never ran has stood nowhere."""
    return tx.one(Pull, _select().where(*_at(tenant, hospital, type))) or Pull(tenant, hospital, type)


def listing(tx: Transaction, tenant: str, hospital: str | None = None) -> list[Pull]:
    """Every pull that ever ran for a tenant."""
    found = _select().where(table.c.tenant == tenant, *([table.c.hospital == hospital] if hospital else []))
    return tx.every(Pull, found.order_by(table.c.hospital, table.c.type))


def frozen(tx: Transaction, tenant: str | None = None) -> list[Pull]:
    """Every type that waits for a person, of one tenant or of all."""
    found = _select().where(table.c.frozen_at.is_not(None), *([table.c.tenant == tenant] if tenant else []))
    return tx.every(Pull, found.order_by(table.c.tenant, table.c.hospital, table.c.type))


def lease(tx: Transaction, tenant: str, hospital: str, type: str, *, holder: str, seconds: float) -> Pull | None:
    """Takes the type for `seconds`; None while another puller holds it."""
    tx.insert_or_ignore(table, tenant=tenant, hospital=hospital, type=type)
    free = or_(table.c.lease_until.is_(None), table.c.lease_until <= tx.now)
    taking = update(table).where(*_at(tenant, hospital, type), free)
    taking = taking.values(token=table.c.token + 1, lease_until=tx.now + timedelta(seconds=seconds), lease_holder=holder)
    return of(tx, tenant, hospital, type) if tx.execute(taking).rowcount == 1 else None


def move(tx: Transaction, pull: Pull, *, seconds: float = 0, **values: Any) -> Pull:
    """Writes `values` (fields of `Pull`) and renews the lease for `seconds`; 0 gives it back. Raises `PullLost`."""
    kept = {"lease_until": tx.now + timedelta(seconds=seconds), "lease_holder": pull.lease_holder}
    values |= kept if seconds else {"lease_until": None, "lease_holder": None}
    moved = update(table).where(*_at(pull.tenant, pull.hospital, pull.type))
    moved = moved.where(table.c.token == pull.token, table.c.lease_until.is_not(None))
    if tx.execute(moved.values(**values)).rowcount != 1:
        raise PullLost(f"another puller reads {pull.type} now")
    return replace(pull, **values)


def release(tx: Transaction, pull: Pull) -> None:
    """Gives the type back, if this puller still holds it."""
    held = update(table).where(*_at(pull.tenant, pull.hospital, pull.type), table.c.token == pull.token)
    tx.execute(held.values(lease_until=None, lease_holder=None))


def moved(pull: Pull, values: Mapping[str, Any]) -> Pull:
    """`pull` with other values, not written."""
    return replace(pull, **values)


def freeze(tx: Transaction, pull: Pull, *, why: str, now: datetime) -> None:
    """Nothing of the type is read any more until `thaw`."""
    tx.execute(update(table).where(*_at(pull.tenant, pull.hospital, pull.type)).values(frozen_at=now, frozen_why=why))


def thaw(tx: Transaction, tenant: str, hospital: str, type: str) -> bool:
    """The type is read again from the beginning, and no version known of it counts any more; False when it was not frozen."""
    thawing = update(table).where(*_at(tenant, hospital, type), table.c.frozen_at.is_not(None))
    cleared = dict.fromkeys(("frozen_at", "frozen_why", "watermark", "next_page", "since", "server_clock"))
    if tx.execute(thawing.values(**cleared)).rowcount != 1:
        return False
    tx.execute(update(pulled).where(*_seen_at(tenant, hospital, type)).values(version="", last_updated=None))
    here = [links.c.tenant == tenant, links.c.hospital == hospital, *_of_type(type)]
    tx.execute(update(links).where(*here).values(version=None, etag=None))
    return True


def known(tx: Transaction, pull: Pull, theirs: Sequence[str]) -> dict[str, list[Known]]:
    """What is known of those of `theirs` (`Type/id`) that are ours, by `theirs`: from links, then from what a pull saw."""
    found: dict[str, list[Known]] = {}
    here = {"tenant": pull.tenant, "hospital": pull.hospital}
    for reference, version, at, ours in tx.rows(_links_known(), **here, names=theirs):
        found.setdefault(reference, []).append(Known(version or "", at, ours=ours))
    ids = [reference.partition("/")[2] for reference in theirs]
    for id, version, at, updated, gone, missing in tx.rows(_seen_known(), **here, type=pull.type, names=ids):
        found.setdefault(f"{pull.type}/{id}", []).append(Known(version, at, updated, gone is not None, missing=missing))
    return found


@cache
def _links_known() -> Executable:
    columns = (links.c.theirs, links.c.version, links.c.updated_at, links.c.ours)
    return select(*columns).where(*(links.c[name] == bindparam(name) for name in ("tenant", "hospital")), among(links.c.theirs))


@cache
def _seen_known() -> Executable:
    columns = (pulled.c.id, pulled.c.version, pulled.c.seen_at, pulled.c.last_updated, pulled.c.gone_at, pulled.c.missing)
    return select(*columns).where(*(pulled.c[name] == bindparam(name) for name in ("tenant", "hospital", "type")), among(pulled.c.id))


def saw(tx: Transaction, pull: Pull, rows: Sequence[dict[str, Any]]) -> None:
    """Remembers what was seen: each row has id, version, last_updated, missing, seen_at and gone_at."""
    key = {"tenant": pull.tenant, "hospital": pull.hospital, "type": pull.type, "crawl": pull.crawl}
    tx.upsert_all(pulled, [key | row for row in rows])


def being_written(tx: Transaction, pull: Pull, theirs: Sequence[str]) -> set[str]:
    """Those of `theirs` that belong to a record which is being written there now, or of whose writing nobody knows the end."""
    open_now = _open_attempts(pull)
    if not theirs or tx.first(select(attempts.c.number).where(*open_now).limit(1)) is None:
        return set()
    same = and_(*(attempts.c[name] == deliveries.c[name] for name in ("tenant", "hospital", "lane", "seq")))
    speaks = and_(*(link_records.c[name] == deliveries.c[name] for name in ("tenant", "kind", "record_id", "hospital")))
    linked = and_(*(links.c[name] == link_records.c[name] for name in ("tenant", "hospital", "ours")))
    joined = attempts.join(deliveries, same).join(link_records, speaks).join(links, linked)
    return {row[0] for row in tx.rows(select(links.c.theirs).select_from(joined).where(*open_now)) if row[0]} & set(theirs)


def oldest_open_write(tx: Transaction, pull: Pull) -> datetime | None:
    """When the oldest write to the hospital began whose end nobody knows yet; None when there is none."""
    found: datetime | None = tx.execute(select(func.min(attempts.c.started_at)).where(*_open_attempts(pull))).scalar_one()
    return found


def first_link(tx: Transaction, pull: Pull) -> datetime | None:
    """When the first resource of the type was known at the hospital: it cannot have changed before; None when there is none."""
    found: datetime | None = tx.execute(select(func.min(links.c.updated_at)).where(*_link_at(pull), *_of_type(pull.type))).scalar_one()
    return found


def left_out(tx: Transaction, pull: Pull, *, since: datetime | None) -> list[str]:
    """`Type/id` of what this crawl should have shown and did not: not gone, not being written, and, of a window, changed since then."""
    if since is not None:
        window = [pulled.c.last_updated >= since, pulled.c.crawl < pull.crawl, pulled.c.gone_at.is_(None)]
        rows = tx.rows(select(pulled.c.id).where(*_seen_at(pull.tenant, pull.hospital, pull.type), *window))
        found = {f"{pull.type}/{row[0]}" for row in rows}
    else:
        here = or_(pulled.c.crawl == pull.crawl, pulled.c.gone_at.is_not(None))
        shown = tx.rows(select(pulled.c.id).where(*_seen_at(pull.tenant, pull.hospital, pull.type), here))
        found = set(linked(tx, pull, pull.type)) - {f"{pull.type}/{row[0]}" for row in shown}
    return sorted(found - being_written(tx, pull, list(found)))


def linked(tx: Transaction, pull: Pull, type: str, *, after: str = "") -> list[str]:
    """The hospital's `Type/id` of every resource of ours of `type`, in order, those behind `after`."""
    found = select(links.c.theirs).distinct().where(*_link_at(pull), *_of_type(type), links.c.theirs > after)
    return [row[0] for row in tx.rows(found.order_by(links.c.theirs))]


def tombstones(tx: Transaction, tenant: str, hospital: str) -> list[tuple[str, datetime]]:
    """(`Type/id`, when it was noticed) of everything of ours that the hospital deleted."""
    found = select(pulled.c.type, pulled.c.id, pulled.c.gone_at).where(pulled.c.tenant == tenant, pulled.c.hospital == hospital)
    rows = tx.rows(found.where(pulled.c.gone_at.is_not(None)).order_by(pulled.c.type, pulled.c.id))
    return [(f"{type}/{id}", gone) for type, id, gone in rows]


def _of_type(type: str) -> Sequence[ColumnElement[bool]]:
    return [links.c.ours.startswith(f"{type}/", autoescape=True), links.c.theirs.is_not(None)]


def _open_attempts(pull: Pull) -> Sequence[ColumnElement[bool]]:
    return [attempts.c.tenant == pull.tenant, attempts.c.hospital == pull.hospital, attempts.c.outcome.is_(None)]


def _link_at(pull: Pull) -> Sequence[ColumnElement[bool]]:
    return [links.c.tenant == pull.tenant, links.c.hospital == pull.hospital]


def _seen_at(tenant: str, hospital: str, type: str) -> Sequence[ColumnElement[bool]]:
    return [pulled.c.tenant == tenant, pulled.c.hospital == hospital, pulled.c.type == type]


def _at(tenant: str, hospital: str, type: str) -> Sequence[ColumnElement[bool]]:
    return [table.c.tenant == tenant, table.c.hospital == hospital, table.c.type == type]


def _select() -> Any:
    return select(*(table.c[name] for name in Pull.__slots__))
