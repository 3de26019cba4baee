"""The first answer to each Idempotency-Key, so that a client that heard nothing may repeat itself safely.

The same key and body gets the first answer again, for as long as the row lives; the same key with another body is the caller's
to refuse with 422 (IETF draft-ietf-httpapi-idempotency-key-header).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select

from fhir_bridge.errors import BridgeError
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.tables import inbox

_REMEMBERED = select(inbox.c.body_sha256, inbox.c.status, inbox.c.response).where(
    inbox.c.tenant == bindparam("tenant"), inbox.c.client == bindparam("client"), inbox.c.key == bindparam("key")
)


class KeyTaken(BridgeError):
    """Another request with this key was answered first: roll back, and answer from `remembered`."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was answered: HTTP status and body, and the SHA-256 (hex) of the request's body."""

    body_sha256: str
    status: int
    response: bytes


def remembered(tx: Transaction, *, tenant: str, client: str, key: str) -> Remembered | None:
    """The first answer given under this key, None if there is none yet."""
    return tx.one(Remembered, _REMEMBERED, tenant=tenant, client=client, key=key)


def remember(tx: Transaction, *, tenant: str, client: str, key: str, body_sha256: str, status: int, response: bytes, now: datetime) -> None:
    """Keeps the answer. Raises `KeyTaken` when two requests with one key ran at once and the other was first."""
    kept = tx.insert_or_ignore(
        inbox, tenant=tenant, client=client, key=key, body_sha256=body_sha256, status=status, response=response, answered_at=now
    )
    if not kept:
        raise KeyTaken("another request with this Idempotency-Key was answered first")
