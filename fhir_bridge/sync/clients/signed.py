"""A clinic signs its requests instead of showing a key: HMAC-SHA256 with a secret that never travels.

The signature is Standard Webhooks' (`v1`, over `id.timestamp.content`), so that its published libraries make it; the content is the
request's line and its body, or a signature of one request would open another address. A request is good once, and for five minutes.

The secret is derived from the key that seals the audit trail and the secret's public name, so it is nowhere in the database.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from fhir_bridge.store import clients, sign_in
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge

TOLERANCE = timedelta(minutes=5)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
PREFIX = "whsec_"  # Standard Webhooks: the secret's bytes in base64 behind it
MAX_ID = 255
_PURPOSE = b"a clinic's requests are signed\0"


def new_name() -> str:
    """A public name for a fresh secret."""
    return f"fhirbridge_signer_{secrets.token_urlsafe(16)}"


def secret_of(bridge: Bridge, name: str) -> str:
    """The secret of this name, as the clinic keeps it."""
    return PREFIX + b64encode(hmac.digest(bridge.audit_key, _PURPOSE + name.encode(), sha256)).decode()


def signature(secret: str, *, id: str, timestamp: str, line: str, body: bytes) -> str:
    """`v1,…`: the signature of a request, its `line` being `METHOD target`."""
    told = f"{id}.{timestamp}.{line}\n".encode() + body
    return "v1," + b64encode(hmac.digest(b64decode(secret.removeprefix(PREFIX)), told, sha256)).decode()


def caller(bridge: Bridge, name: str, *, headers: Mapping[str, str], line: str, body: Callable[[], bytes]) -> Client | None:
    """The client whose secret called `name` signed this request, the first time it comes; None for anybody else.

    `body` is asked for only where the rest is as it must be: a stranger does not make us read.

    `headers` are those of `HEADERS`: an id, a time in seconds, and the signature, or several between spaces.
    """
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    with bridge.store.reading() as tx:
        now, client = tx.now, clients.authenticate(tx, name, kind="hmac")
    if client is None or not 0 < len(id) <= MAX_ID or not _now(timestamp, now):
        return None
    good = signature(secret_of(bridge, name), id=id, timestamp=timestamp, line=line, body=body()).encode()
    given = headers.get("webhook-signature", "").encode()[:1000].split()
    signed = any(hmac.compare_digest(good, one) for one in given)
    return client if signed and _first(bridge, client, id, now) else None


def _now(timestamp: str, now: datetime) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        return False
    return abs(int(timestamp) - now.timestamp()) <= TOLERANCE.total_seconds()


def _first(bridge: Bridge, client: Client, id: str, now: datetime) -> bool:
    """Written down before anything is done: a request that fails afterwards is sent again under another id."""
    with bridge.store.transaction() as tx:
        sign_in.forget_ended(tx, client.tenant, now=now)
        # twice: the timestamp may lie that far ahead
        return sign_in.use_proof(tx, client=client, kind="hmac", proof=id, ends_at=now + 2 * TOLERANCE)
