"""What changed, for the clinic to follow: a view of the audit trail, whose rows are numbered without gaps in the order of commits.

A row is written in its action's own transaction, and the tenant's chain is held until the commit; so no later number can be seen
before an earlier one, and a reader that goes on from its last cursor misses nothing, whatever is written meanwhile.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError
from fhir_bridge.store import audit
from fhir_bridge.store.audit import Entry
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge

# The closed list: an action of the audit trail → what the clinic is told that happened to the record. What is not here is not told.
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "accept": "changed",  # a version from the clinic itself: `by` is its client
        "pull": "changed",  # a version from the hospital: `by` is hospital:NAME
        "receive": "received",
        "accept-referral": "accepted",
        "decline-referral": "declined",
        "schedule-referral": "scheduled",
        "complete-referral": "completed",
        "hold-referral": "on-hold",
        "cancel-referral": "cancelled",
        "fail-referral": "failed",
        "match-referral": "matched",  # a person said whose patient it is
        "ask-whose-patient": "undecided",  # a session of somebody else names the referral
        "follow-referral": "followed",  # the session that answers it moved it
        "fetch-failed": "not-fetched",  # a Task's order could not be fetched at its sender
        "unreadable": "unreadable",  # a hospital's message was taken and could not be read
        "delivered": "delivered",
        "stopped": "stopped",
        "retry": "retried",
        "discard": "discarded",
        "conflict": "opened",
        "conflict-settled": "settled",
        "keep-ours": "kept-ours",
        "take-theirs": "took-theirs",
    }
)
_ADDRESSES = frozenset({"session", "appointment", "referral"})  # kinds that can be asked for at /api/v1/KINDs/ID


class UnknownCursor(BridgeError):
    """The cursor is none that this feed ever gave: a text of another kind, or a number that is still to come."""


def page(bridge: Bridge, tenant: str, *, after: int, limit: int) -> dict[str, Any]:
    """`{"changes": [change …], "next": cursor}`: the first `limit` changes after `after` (0: from the beginning). Raises `UnknownCursor`.

    `next` is where to go on. A page that is not full reached the end of what was committed when it was asked for.
    """
    with bridge.store.reading() as tx:
        return read(tx, tenant, after=after, limit=limit)


def read(tx: Transaction, tenant: str, *, after: int, limit: int) -> dict[str, Any]:
    """As `page`, within `tx`."""
    end = audit.head(tx, tenant).seq  # first: on PostgreSQL the rows are read at a later moment, when there may be more
    if not 0 <= after <= end:
        raise UnknownCursor("The cursor is none of ours, or of before a restored backup; begin again with after=0.")
    found = audit.following(tx, tenant, tuple(WORDS), after=after, until=end, limit=limit)
    return {"changes": [told(entry) for entry in found], "next": found[-1].seq if len(found) == limit else end}


def told(entry: Entry) -> dict[str, Any]:
    """`{cursor, at, what, kind, id, by, version?, hospital?, kept?, url?}`: which record, and never what is in it."""
    detail = documents.loads(entry.detail, max_bytes=len(entry.detail))
    kind, _, id = str(detail.get("record", entry.subject)).partition("/")
    change: dict[str, Any] = {
        "cursor": entry.seq, "at": entry.at.isoformat(), "what": f"{kind}.{WORDS[entry.action]}", "kind": kind, "id": id, "by": entry.actor,
    }  # fmt: skip
    change |= {name: detail[name] for name in ("version", "hospital", "kept") if name in detail}
    return change | ({"url": f"/api/v1/{kind}s/{id}"} if kind in _ADDRESSES else {})
