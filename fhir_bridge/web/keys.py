"""Who is asking: the client behind a key, a token or a signature, known before the body is looked at.

The tenant is the client's, whatever the request says. An unknown, ended or revoked client, one of another kind and one that calls from
elsewhere all hear the same. Below /fhir a client needs the scope of what it asks for.
"""

from http import HTTPStatus

from flask import Request, g, request

from fhir_bridge.store.clients import Client
from fhir_bridge.sync import sign_in
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import scopes
from fhir_bridge.web import hmac_signed
from fhir_bridge.web.problems import Problem

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fhir-bridge"'}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "signed": hmac_signed.SECURITY_SCHEME,
}
_UNKNOWN = "This key is unknown or revoked; ask the bridge's administrator for one."
_LETTERS = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}


def let_in(bridge: Bridge, kind: str) -> None:
    """Makes the client of this kind who calls the request's (`g.client`); raises `Problem` 401 for anybody else."""
    signed = hmac_signed.is_signed(request)
    client = hmac_signed.caller(bridge, request) if signed else sign_in.caller(bridge, presented(request))
    if client is None or not _belongs(bridge, client, kind):
        raise too_often(bridge) or refusal(_UNKNOWN)
    g.client, g.client_name = client, client.name


def require_scope(prefix: str) -> None:
    """Raises `Problem` 403 unless the client may do what it asks for below `prefix`, the FHIR base."""
    kind, letter = right_of(request.method, request.path.removeprefix(prefix))
    if not scopes.allows(g.client.scopes, kind, letter):
        raise Problem(HTTPStatus.FORBIDDEN, f"This needs the scope system/{kind}.{letter}, which you were not given.")


def right_of(method: str, path: str) -> tuple[str, str]:
    """What an interaction at `path` of a FHIR server (R4, RESTful API) needs: a resource type and one of c r u d s.

    The system's own address takes referrals, in a Bundle or a message: creating ServiceRequests.
    """
    first, *rest = [*path.strip("/").split("/"), ""]
    if not first[:1].isalpha() or any(part.startswith("$") for part in rest):
        return "ServiceRequest", "c" if method == "POST" else "s"
    if method in ("GET", "HEAD"):
        return first, "r" if rest[0] and not rest[0].startswith("_") else "s"
    return first, "s" if "_search" in rest else _LETTERS.get(method, "d")


def presented(request: Request) -> str:
    """The key or token `request` shows; raises `Problem` 401 when it shows none."""
    sent = request.authorization
    if sent is not None and sent.type == "bearer" and sent.token:
        return sent.token
    if sent is None and (key := request.headers.get("X-API-Key")):
        return key
    raise refusal("Show an API key: Authorization: Bearer KEY, or X-API-Key: KEY.")


def too_often(bridge: Bridge) -> Problem | None:
    """Counts a refusal; a 429 for an address that was refused too often in this minute."""
    seconds = sign_in.refused(bridge, request.remote_addr)
    headers = CHALLENGE | {"Retry-After": str(seconds)}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "Refused too often. Mend the sign-in, and wait.", headers=headers) if seconds else None


def refusal(detail: str) -> Problem:
    """A 401 that says how to sign in; the same for an unknown and a revoked key."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers=CHALLENGE)


def _belongs(bridge: Bridge, client: Client, kind: str) -> bool:
    return client.kind == kind and client.tenant in bridge.sites and client.may_call_from(request.remote_addr)
