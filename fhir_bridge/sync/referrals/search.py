"""Searching what we hold of a sender's referrals: its own and nobody else's, page by page, as FHIR.

A page's `next` is an opaque cursor, encrypted: it names what was searched for, which may be a patient's number, and addresses get
into logs. It is good for the client it was given to, and no other.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import records, referral_search
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import query as refer_query
from fhir_bridge.sync.referrals import unread
from fhir_bridge.sync.referrals.answers import Held, held
from fhir_bridge.sync.referrals.query import Query
from fhir_bridge.sync.referrals.shape import PATIENT

_SEALED = {"alg": "dir", "enc": "A256GCM"}
MAX_CURSOR = 8_000


@dataclass(frozen=True, slots=True)
class Page:
    """What answers a query: the referrals as FHIR, and the cursor of the next page where there is one."""

    query: Query
    found: tuple[Held, ...]
    next: str | None = None


def run(bridge: Bridge, client: Client, query: Query) -> Page:
    """One page of the sender's own referrals."""
    unread.catch_up(bridge, client.tenant)
    site = bridge.sites[client.tenant]
    with bridge.store.reading() as tx:
        standing = referral_search.found(
            tx, client.tenant, client.id, query.wanted, after=query.after, newest_first=query.newest_first,
            once=query.kind == PATIENT, limit=query.count + 1,
        )  # fmt: skip
        shown = standing[: query.count]
        stored = [(one, records.current(tx, client.tenant, "referral", one.id)) for one in shown]
    found = tuple(held(site, documents.loads(one.document, max_bytes=len(one.document)), at.updated_at) for at, one in stored if one)
    more = len(standing) > query.count
    return Page(query, found, _sealed(bridge, client, query, (shown[-1].updated_at, shown[-1].id)) if more else None)


def continued(bridge: Bridge, client: Client, kind: str, cursor: str) -> Query:
    """The query whose next page `cursor` is; raises `Refused` for a cursor that is not this client's."""
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError
        said = documents.loads(jwe.decrypt_compact(cursor, _key(bridge)).plaintext or b"")
        if said["for"] != [client.tenant, client.id, kind]:
            raise ValueError
        query = refer_query.parsed(bridge.sites[client.tenant], kind, [(name, value) for name, value in said["asked"]])
        return replace(query, after=(datetime.fromisoformat(said["after"][0]), said["after"][1]))
    except (JoseError, Refused, ValueError, KeyError, TypeError):
        raise Refused([Fault("_cursor", "is not one of yours; follow the next link of a page as it is")]) from None


def _sealed(bridge: Bridge, client: Client, query: Query, after: tuple[datetime, str]) -> str:
    told: dict[str, Any] = {
        "for": [client.tenant, client.id, query.kind],
        "asked": [list(one) for one in query.said],
        "after": [after[0].isoformat(), after[1]],
    }
    return jwe.encrypt_compact(_SEALED, documents.dumps(told), _key(bridge))


def _key(bridge: Bridge) -> OctKey:
    return OctKey.import_key(sha256(b"search cursor\0" + bridge.audit_key).digest())
