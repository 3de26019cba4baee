"""What a webhook's receiver gets, and how it knows that it is from us: signed as Standard Webhooks says. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: HMAC-SHA256 over `id.timestamp.body`, several
signatures side by side while a secret is rotated. The receiver's secret rests in the database sealed (AES-256-GCM) with a key made of
the audit key, which is kept outside.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError

PREFIX = "whsec_"
SECRET_BYTES = 32  # the standard asks for 24 to 64


class Unreadable(BridgeError):
    """The secret was sealed with another key."""


def shown(secret: bytes) -> str:
    """The secret as its receiver gets it."""
    return PREFIX + b64encode(secret).decode()


def seal(secret: bytes, key: bytes) -> str:
    """The secret as the database keeps it; `key` is the audit key."""
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, secret, _sealing(key))


def unseal(sealed: str, key: bytes) -> bytes:
    """Raises `Unreadable`."""
    try:
        return jwe.decrypt_compact(sealed, _sealing(key)).plaintext or b""
    except (JoseError, ValueError):
        raise Unreadable("its secret cannot be read: the audit key is another than when it was made; rotate it") from None


def message_id(webhook: str, cursor: int) -> str:
    """The same for every try: a receiver that remembers it takes each change once."""
    return f"{webhook}-{cursor}"


def body(change: dict[str, Any]) -> bytes:
    """`change` (an entry of the feed) in the shape the standard recommends; the same bytes each time."""
    return documents.dumps({"type": change["what"], "timestamp": change["at"], "data": change})


def headers(id: str, body: bytes, *, secrets: Sequence[bytes], now: datetime) -> dict[str, str]:
    """The headers of one try at `now`, signed with each of `secrets`."""
    timestamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signature(id, timestamp, body, secret=secret) for secret in secrets),
    }


def signature(id: str, timestamp: str, body: bytes, *, secret: bytes) -> str:
    signed = hmac.new(secret, f"{id}.{timestamp}.".encode() + body, sha256).digest()
    return f"v1,{b64encode(signed).decode()}"


def secret_of(shown: str) -> bytes:
    """What `shown` made a text of."""
    return b64decode(shown.removeprefix(PREFIX))


def _sealing(key: bytes) -> OctKey:
    return OctKey.import_key(hmac.new(key, b"webhook secrets", sha256).digest())
