"""A client's public keys: those it was registered with, or those at its registered address, kept for as long as it says.

The address is read again when what was read is stale, and when an assertion names a key we do not have; never more than once a minute,
by all processes together. While nothing can be read, what was read last goes on for a day at most.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.hospital.exchange import Reply
from fhir_bridge.store import sign_in
from fhir_bridge.store.sign_in import PublicKeys
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import assertion

PAUSE = timedelta(minutes=1)
SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(hours=24)
SECONDS = 5.0
MAX_KEYS = 50
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)")

Jwk = Mapping[str, Any]


def keys_of(bridge: Bridge, registered: PublicKeys, *, kid: str, now: datetime) -> list[Jwk]:
    """The client's public keys, read anew if need be; empty when there are none to be had."""
    held = _held(registered, now)
    if registered.url is None:
        return held
    fresh = registered.fresh_until is not None and now < registered.fresh_until
    if fresh and any(key.get("kid") == kid for key in held):
        return held
    with bridge.store.transaction() as tx:
        mine = sign_in.may_fetch(tx, registered, now=now, pause=PAUSE)
    found = fetch(bridge, registered) if mine else None
    return held if found is None else found


def fetch(bridge: Bridge, registered: PublicKeys) -> list[Jwk] | None:
    """Reads the client's address and keeps what is there; None when nothing of use is. No transaction is open meanwhile."""
    reply = bridge.outside.within(SECONDS).get(registered.url or "", headers={"Accept": "application/json"})
    if not isinstance(reply, Reply) or reply.status != 200:
        return None
    try:
        keys = read(reply.body)
    except Refused:
        return None
    with bridge.store.transaction() as tx:
        until = tx.now + lasting(reply.header("Cache-Control"))
        sign_in.fetched(tx, registered, jwks=documents.dumps({"keys": keys}), now=tx.now, fresh_until=until)
    return keys


def read(document: Any) -> list[Jwk]:
    """The keys of a JWKS; raises `Refused` when it is none, has none we could use, or holds a private key."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys) or len(keys) > MAX_KEYS:
        raise Refused([Fault("keys", f"must be a list of up to {MAX_KEYS} JWKs (RFC 7517)")])
    if any({"d", "k"} & key.keys() for key in keys):
        raise Refused([Fault("keys", "holds a private or secret key; take it out of use, and send the public part of a new one")])
    if not any(map(assertion.usable, keys)):
        raise Refused([Fault("keys", "holds no key for RS384 (RSA of 2048 bits or more) or ES384 (P-384) with a kid")])
    return keys


def lasting(cache_control: str) -> timedelta:
    """For how long an answer with this header is taken to hold: what it says, within `SHORTEST` and `LONGEST`."""
    said = _MAX_AGE.search(cache_control.lower())
    return min(max(timedelta(seconds=int(said[1])) if said else SHORTEST, SHORTEST), LONGEST)


def _held(registered: PublicKeys, now: datetime) -> list[Jwk]:
    old = registered.fetched_at is not None and now >= registered.fetched_at + LONGEST
    if registered.jwks is None or (registered.url and old):
        return []
    found: list[Jwk] = documents.loads(registered.jwks)["keys"]
    return found
