"""A document that came along with a referral, as it was sent: found by its hash in the messages that are kept.

What a hospital only points to stays there; nothing is fetched.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from fhir_bridge import documents
from fhir_bridge.store import records, referrals
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import parts, unread


def content(bridge: Bridge, tenant: str, referral: str, attachment: str) -> bytes | None:
    """The bytes of the attachment of this number in the referral's newest version; None when there are none here."""
    unread.catch_up(bridge, tenant)
    with bridge.store.reading() as tx:
        stored = records.current(tx, tenant, "referral", referral)
        messages = referrals.messages_of(tx, tenant, referral) if stored else []
    told = documents.loads(stored.document, max_bytes=len(stored.document))["referral"].get("attachments", []) if stored else []
    wanted = next((one.get("sha256") for one in told if one["id"] == attachment), None)
    sent = (one for message in reversed(messages) for one in _inline(documents.loads(message.body, max_bytes=len(message.body))))
    return next((one for one in sent if sha256(one).hexdigest() == wanted), None) if wanted else None


def _inline(node: Any) -> Iterator[bytes]:
    """The content of every attachment in a message."""
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _inline(one)
    if isinstance(node, dict) and (found := parts.content(node.get("data"))) is not None:
        yield found
