"""The hospital's sign-in desk (SMART App Launch 2.2, Backend Services): one registered client, tokens for signed assertions.

`require_sign_in(app, …)` puts it in front of a sandbox: then every FHIR route but the statement asks for a token.
"""

import json
import secrets
import threading
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.outcome import Rejected

ALGORITHMS = ("RS384", "ES384")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CONFIGURATION = "/fhir/.well-known/smart-configuration"
TOKEN = "/token"  # noqa: S105 - an address
OPEN = ("/fhir/metadata", CONFIGURATION, TOKEN)
LONGEST_ASSERTION = timedelta(minutes=5)
SKEW = timedelta(seconds=5)
_JWKS_BYTES = 100_000


class Denied(Exception):
    """A token request that is refused, with OAuth's word for it (RFC 6749, 5.2) and a reason for the person who reads it."""

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(reason)
        self.error = error


@dataclass(frozen=True)
class Client:
    """A registered client: its id, where its public keys are (called each time), and the scopes it may have."""

    id: str
    jwks: Callable[[], dict[str, Any]]
    scopes: frozenset[str]


@dataclass
class Desk:
    """Checks assertions, gives tokens, and knows the ones it gave. `life` of a token in seconds."""

    client: Client
    now: Callable[[], datetime] = utc_now
    life: int = 300
    new_token: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    given: dict[str, datetime] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    signed_by: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def give(self, form: Mapping[str, str], endpoint: str) -> dict[str, Any]:
        """A token for a token request to `endpoint`; raises `Denied`."""
        if form.get("grant_type") != "client_credentials":
            raise Denied("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise Denied("invalid_request", "client_assertion_type is not jwt-bearer")
        self._check(form.get("client_assertion", ""), endpoint)
        granted = [scope for scope in form.get("scope", "").split() if scope in self.client.scopes]
        if not granted:
            raise Denied("invalid_scope", "none of the scopes is registered for this client")
        token = self.new_token()
        self.given[token] = self.now() + timedelta(seconds=self.life)
        return {"access_token": token, "token_type": "bearer", "expires_in": self.life, "scope": " ".join(granted)}

    def knows(self, authorization: str) -> bool:
        """Whether the Authorization header carries a token of ours that holds now."""
        scheme, _, token = authorization.partition(" ")
        until = self.given.get(token)
        return scheme.lower() == "bearer" and until is not None and self.now() < until

    def forget(self) -> None:
        """Every token given so far is void."""
        self.given.clear()

    def _check(self, assertion: str, endpoint: str) -> None:
        try:
            found = jwt.decode(assertion, KeySet.import_key_set(self.client.jwks()), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
        except (JoseError, ValueError, OSError) as error:
            raise Denied("invalid_client", f"the assertion's signature does not hold: {type(error).__name__}") from error
        if found.header.get("typ", "JWT") != "JWT" or not found.header.get("kid"):
            raise Denied("invalid_client", "the assertion's header must name typ JWT and a kid")
        self._check_claims(found.claims, endpoint)
        self.signed_by.append(str(found.header["kid"]))

    def _check_claims(self, claims: Mapping[str, Any], endpoint: str) -> None:
        if claims.get("iss") != self.client.id or claims.get("sub") != self.client.id:
            raise Denied("invalid_client", "iss and sub must both be the client's id")
        if endpoint not in (claims.get("aud"), *(claims["aud"] if isinstance(claims.get("aud"), list) else ())):
            raise Denied("invalid_client", "aud must be this token endpoint")
        ends = claims.get("exp")
        if not isinstance(ends, int) or not 0 < ends - self.now().timestamp() <= (LONGEST_ASSERTION + SKEW).total_seconds():
            raise Denied("invalid_client", "exp must be in the next five minutes")
        self._check_new(claims.get("jti"))

    def _check_new(self, jti: Any) -> None:
        """An assertion is good once: a second with the same jti is a replay."""
        with self.lock:
            self.seen = {old: until for old, until in self.seen.items() if until > self.now()}
            if not isinstance(jti, str) or not jti or jti in self.seen:
                raise Denied("invalid_client", "jti must be there and new")
            self.seen[jti] = self.now() + LONGEST_ASSERTION + SKEW


def at(url: str) -> Callable[[], dict[str, Any]]:
    """The JWKS at `url`, read each time."""

    def read() -> dict[str, Any]:
        with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - the operator of the sandbox names it
            found: dict[str, Any] = json.loads(reply.read(_JWKS_BYTES))
            return found

    return read


def require_sign_in(app: Flask, desk: Desk) -> None:
    """Puts `desk` in front of the sandbox `app`."""

    def configuration() -> Response:
        return jsonify(
            token_endpoint=request.host_url.rstrip("/") + TOKEN,
            token_endpoint_auth_methods_supported=["private_key_jwt"],
            token_endpoint_auth_signing_alg_values_supported=list(ALGORITHMS),
            grant_types_supported=["client_credentials"],
            scopes_supported=sorted(desk.client.scopes),
            capabilities=["client-confidential-asymmetric", "permission-v2"],
        )

    def token() -> tuple[Response, int, dict[str, str]]:
        headers = {"Cache-Control": "no-store"}
        try:
            return jsonify(desk.give(request.form, request.host_url.rstrip("/") + TOKEN)), 200, headers
        except Denied as denied:
            return jsonify(error=denied.error, error_description=str(denied)), 401 if denied.error == "invalid_client" else 400, headers

    def ask() -> None:
        if request.path not in OPEN and not desk.knows(request.headers.get("Authorization", "")):
            raise Rejected(401, "The token is missing, unknown or over", "login", {"WWW-Authenticate": "Bearer"})

    app.add_url_rule(CONFIGURATION, "smart-configuration", configuration, methods=["GET"])
    app.add_url_rule(TOKEN, "token", token, methods=["POST"])
    app.before_request(ask)
