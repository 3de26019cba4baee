"""SMART Backend Services: a token for a signed assertion, kept in memory only and used only at the hospital's own address.

HL7 SMART App Launch 2.2, "Backend Services" and "Client Authentication: Asymmetric". The assertion goes to the token endpoint
the hospital's own discovery document names (or that is fixed by configuration), never to one named in an answer.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.client import Client, Deadlines
from fhir_bridge.hospital.exchange import Call, NoReply, Reply
from fhir_bridge.hospital.sign_in import SignInFailed

ALGORITHMS = ("RS384", "ES384")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = timedelta(minutes=4)  # the standard allows five; a minute is left for clocks that differ
EARLY = timedelta(seconds=60)  # a token is renewed so long before it ends
DEFAULT_LIFE = 300  # seconds, when the server does not say

_WORD = re.compile(r"[a-z_]{3,40}")


@dataclass(frozen=True)
class _Token:
    value: str
    until: datetime

    def __repr__(self) -> str:
        return f"_Token(until={self.until})"


class BackendServices:
    """A sign-in for `Client`: `headers()` and `renew()`. One object may serve several threads; they share the token."""

    def __init__(
        self,
        base_url: str,
        *,
        client_id: str,
        key: dict[str, Any] | Callable[[], dict[str, Any]],
        scope: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        token_url: str = "",
        session: requests.Session | None = None,
        deadlines: Deadlines = Deadlines(connect=5, read=10, total=20),  # noqa: B008 - a frozen value
        verify: bool | str = True,
    ) -> None:
        """`key` is a private JWK with `kid` (RSA for RS384, P-384 for ES384), or tells the one that signs now, so that it may be rotated.

        Raises `Refused` on another key, or on a plain-http endpoint.
        """
        self._base, self._client_id, self._scope, self._fixed = base_url, client_id, scope, token_url
        self._key_now = key if callable(key) else _always(key)
        self._now, self._new_id = now, new_id
        self._options: dict[str, Any] = {"session": session, "deadlines": deadlines, "max_reply_bytes": 100_000, "verify": verify}
        self._lock = Lock()
        self._token: _Token | None = None
        if token_url:
            self._check(token_url)

    def headers(self) -> dict[str, str]:
        """The Authorization header, with a token that holds for another minute at least; raises `SignInFailed`."""
        with self._lock:
            if self._token is None or self._now() >= self._token.until - EARLY:
                self._token = self._fetch()
            return {"Authorization": f"Bearer {self._token.value}"}

    def renew(self) -> bool:
        """Throw the refused token away; False when there was none."""
        with self._lock:
            had, self._token = self._token is not None, None
            return had

    def _fetch(self) -> _Token:
        endpoint = self._fixed or self._discover()
        form = (
            ("grant_type", "client_credentials"),
            ("scope", self._scope),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", self._assertion(endpoint)),
        )
        reply = self._answer(endpoint, Call("POST", headers={"Accept": "application/json"}, form=form), "the token endpoint")
        fault_point("O12")
        token, life = reply.body.get("access_token"), reply.body.get("expires_in", DEFAULT_LIFE)
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            raise SignInFailed("the token endpoint answered without an access token")
        if str(reply.body.get("token_type", "")).lower() != "bearer":
            raise SignInFailed("the token endpoint gave a token that is not of type bearer")
        seconds = int(life) if isinstance(life, int) and life > 0 else DEFAULT_LIFE
        return _Token(token, self._now() + timedelta(seconds=min(seconds, 86_400)))

    def _discover(self) -> str:
        call = Call("GET", ".well-known/smart-configuration", headers={"Accept": "application/json"})
        endpoint = self._answer(self._base, call, "the SMART configuration").body.get("token_endpoint")
        if not isinstance(endpoint, str):
            raise SignInFailed("the SMART configuration names no token_endpoint")
        try:
            self._check(endpoint)
        except Refused as error:
            raise SignInFailed("the SMART configuration names a token_endpoint that is not https") from error
        return endpoint

    def _answer(self, base: str, call: Call, who: str) -> Reply:
        reply = Client(base, **self._options).send(call)
        if isinstance(reply, NoReply):
            raise SignInFailed(f"{who} gave no answer: {reply.cause}")
        if reply.status != 200 or not isinstance(reply.body, dict):
            said = reply.body.get("error", "") if isinstance(reply.body, dict) else ""
            word = said if isinstance(said, str) and _WORD.fullmatch(said) else "no reason"
            raise SignInFailed(f"{who} answered {reply.status} ({word})")
        return reply

    def _assertion(self, endpoint: str) -> str:
        now = self._now()
        try:
            key, algorithm = signing_key(self._key_now())
        except (Refused, OSError, ValueError) as error:
            raise SignInFailed(f"our key cannot be used: {error if isinstance(error, Refused) else type(error).__name__}") from error
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": endpoint,
            "exp": int((now + ASSERTION_LIFE).timestamp()),
            "iat": int(now.timestamp()),
            "jti": self._new_id(),
        }
        header = {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, key, algorithms=list(ALGORITHMS))

    def _check(self, endpoint: str) -> None:
        """https only; plain http where the hospital itself is plain http, which is a test server on this machine."""
        if urlsplit(endpoint).scheme != "https" and urlsplit(self._base).scheme != "http":
            raise Refused([Fault("token_url", "must be https")])


def _always(key: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    signing_key(key)
    return lambda: key


def signing_key(jwk: dict[str, Any]) -> tuple[RSAKey | ECKey, str]:
    """The private key and its algorithm: RSA signs RS384, P-384 signs ES384. Raises `Refused` on anything else."""
    key = import_key(jwk)
    if not key.is_private or not key.kid:
        raise Refused([Fault("key", "must be a private JWK with a kid")])
    if isinstance(key, RSAKey):
        return key, "RS384"
    if isinstance(key, ECKey) and jwk.get("crv") == "P-384":
        return key, "ES384"
    raise Refused([Fault("key", "must be an RSA or a P-384 key: SMART Backend Services signs RS384 or ES384")])
