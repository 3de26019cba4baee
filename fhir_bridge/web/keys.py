"""Who is asking: a clinic client's API key, from `Authorization: Bearer` or `X-API-Key`, checked before the body is looked at."""

from http import HTTPStatus

from flask import Request

from fhir_bridge.web.problems import Problem

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fhir-bridge"'}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def presented(request: Request) -> str:
    """The key `request` shows; raises `Problem` 401 when it shows none."""
    sent = request.authorization
    if sent is not None and sent.type == "bearer" and sent.token:
        return sent.token
    if sent is None and (key := request.headers.get("X-API-Key")):
        return key
    raise refusal("Show an API key: Authorization: Bearer KEY, or X-API-Key: KEY.")


def refusal(detail: str) -> Problem:
    """A 401 that says how to sign in; the same for an unknown and a revoked key."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers=CHALLENGE)
