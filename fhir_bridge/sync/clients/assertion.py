"""An assertion of who calls (RFC 7523; SMART App Launch 2.2, Client Authentication: Asymmetric), read and checked without a database.

Everything that can be refused is refused for one word to the caller, `invalid_client`; the reason is a word of ours for the log. The
key is the registered client's, never one that the assertion itself brings (`jwk`, `jku` elsewhere, `x5c`, `x5u`), and the algorithm is
ours to name, never the assertion's.
"""

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError, Refused

ALGORITHMS = ("RS384", "ES384")
LONGEST = timedelta(minutes=5)
SKEW = timedelta(seconds=10)  # clocks that keep time by the network differ by less
MAX_BYTES = 16_000
MAX_ID = 255
RSA_BITS = 2048
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
# header parameters that bring a key along, or that must be understood
_REFUSED = frozenset({"jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"})


class Denied(BridgeError):
    """Not let in. `error` is OAuth's word (RFC 6749, 5.2); `reason` is one of ours for the log, without a value of the request."""

    def __init__(self, reason: str, error: str = "invalid_client") -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason


@dataclass(frozen=True, slots=True, repr=False)
class Assertion:
    """An assertion as it was sent, its header and claims read and not yet believed."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def client_id(self) -> str:
        """Who it says it is."""
        return str(self.claims["iss"])

    @property
    def kid(self) -> str:
        """The name of the key it says it is signed with."""
        return str(self.header["kid"])

    @property
    def jti(self) -> str:
        """Its own number, good once."""
        return str(self.claims["jti"])

    @property
    def ends_at(self) -> datetime:
        """When it is over; none is believed for longer than `LONGEST`."""
        return datetime.fromtimestamp(int(self.claims["exp"]), UTC)


def read(text: str) -> Assertion:
    """The parts of `text`; raises `Denied` unless they have the shape of an assertion we could believe."""
    if len(text) > MAX_BYTES:
        raise Denied("assertion too long")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):
        raise Denied("no signed assertion")
    header, claims = (_object(part) for part in parts[:2])
    _check_header(header)
    for name in ("iss", "sub", "jti", "aud"):
        if not _is_text(claims.get(name)):
            raise Denied(f"{name} missing or no text")
    if claims["iss"] != claims["sub"]:
        raise Denied("iss and sub differ")
    return Assertion(text, header, claims)


def check(assertion: Assertion, keys: Sequence[Mapping[str, Any]], *, jwks_url: str | None, audience: str, now: datetime) -> None:
    """Raises `Denied` unless `assertion` is signed by one of `keys` (JWKs), meant for `audience`, and of now."""
    if "jku" in assertion.header and assertion.header["jku"] != jwks_url:
        raise Denied("jku is not the registered address")
    _check_signature(assertion, _key(assertion, keys))
    if assertion.claims["aud"] != audience:
        raise Denied("aud is not our token address")
    _check_times(assertion.claims, now)


def usable(jwk: Mapping[str, Any]) -> bool:
    """Could a client sign in with this key: public, named, RSA of 2048 bits or more, or on P-384?"""
    return any(_fitting(jwk, algorithm) for algorithm in ALGORITHMS) and _is_text(jwk.get("kid"))


def _check_header(header: Mapping[str, Any]) -> None:
    if header.get("typ") != "JWT":
        raise Denied("typ is not JWT")
    if header.get("alg") not in ALGORITHMS:
        raise Denied("alg is neither RS384 nor ES384")
    if not _is_text(header.get("kid")):
        raise Denied("no kid")
    if _REFUSED & header.keys():
        raise Denied("a header parameter that brings a key, or is critical")


def _key(assertion: Assertion, keys: Sequence[Mapping[str, Any]]) -> RSAKey | ECKey:
    named = [key for key in keys if key.get("kid") == assertion.kid]
    if len(named) != 1:
        raise Denied("kid names no key" if not named else "kid names several keys")
    if (key := _fitting(named[0], str(assertion.header["alg"]))) is None:
        raise Denied("the key does not fit the algorithm")
    return key


def _fitting(jwk: Mapping[str, Any], algorithm: str) -> RSAKey | ECKey | None:
    """The key of `jwk`, if one can check a signature by `algorithm` with it."""
    operations = jwk.get("key_ops", ["verify"])
    said = (jwk.get("use", "sig"), jwk.get("alg", algorithm), isinstance(operations, list) and "verify" in operations)
    key = _imported(jwk) if said == ("sig", algorithm, True) and "d" not in jwk else None
    return key if isinstance(key, RSAKey if algorithm == "RS384" else ECKey) else None


def _imported(jwk: Mapping[str, Any]) -> RSAKey | ECKey | None:
    """By the key's own numbers alone: what else a JWK may hold is of no matter to a signature."""
    kind = str(jwk.get("kty"))
    numbers = {name: value for name in _MEMBERS.get(kind, ()) if isinstance(value := jwk.get(name), str) and value.isascii()}
    # the library takes a short key with a warning, and fails at a curve it does not know
    fit = numbers.get("crv") == "P-384" or len(numbers.get("n", "")) * 6 >= RSA_BITS
    if not fit or len(numbers) < len(_MEMBERS[kind]):
        return None
    try:
        key = import_key({"kty": kind, **numbers})
        if isinstance(key, RSAKey):
            return key if key.public_key.key_size >= RSA_BITS else None
        return key if isinstance(key, ECKey) and key.public_key else None
    except (JoseError, ValueError, TypeError):
        return None


def _check_signature(assertion: Assertion, key: RSAKey | ECKey) -> None:
    try:
        jws.deserialize_compact(assertion.text, key, algorithms=[str(assertion.header["alg"])])
    except (JoseError, ValueError, TypeError):
        raise Denied("the signature does not hold") from None


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    ends = _number(claims, "exp")
    if ends is None or ends <= now.timestamp():
        raise Denied("exp missing or past")
    if ends > (now + LONGEST + SKEW).timestamp():
        raise Denied("exp is more than five minutes away")
    for name in ("nbf", "iat"):
        since = _number(claims, name)
        if since is not None and since > (now + SKEW).timestamp():
            raise Denied(f"{name} is in the future")


def _number(claims: Mapping[str, Any], name: str) -> int | Decimal | None:
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | Decimal) or not 0 < found < 1 << 40:
        raise Denied(f"{name} is no time")
    return found


def _object(part: str) -> dict[str, Any]:
    """A part of the assertion as JSON, by the rules of every document that comes in: no key twice, not too deep."""
    try:
        found = documents.loads(urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4)))
    except (Refused, ValueError, binascii.Error):
        raise Denied("no JSON in the assertion") from None
    if not isinstance(found, dict):
        raise Denied("no JSON in the assertion")
    return found


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and 0 < len(found) <= MAX_ID and found.isprintable()
