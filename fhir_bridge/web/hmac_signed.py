"""A request that a clinic signed (`Authorization: HMAC NAME`): its signature is over the bytes as sent, before anything parses them."""

from flask import Request

from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import signed

SCHEME = "hmac"
SECURITY_SCHEME = {
    "type": "http",
    "scheme": "HMAC",
    "description": (
        "Authorization: HMAC and the secret's public name, with webhook-id, webhook-timestamp and webhook-signature as Standard Webhooks "
        "makes them over the request line (`POST /api/v1/sessions`), a line feed, and the body."
    ),
}


def is_signed(request: Request) -> bool:
    """Does the request say that it is signed?"""
    return request.authorization is not None and request.authorization.type == SCHEME


def caller(bridge: Bridge, request: Request) -> Client | None:
    """The client that signed it, the first time it comes; None for anybody else."""
    sent = request.authorization
    signer = (sent.token if sent else None) or ""
    line = f"{request.method} {request.environ.get('RAW_URI') or request.environ['REQUEST_URI']}"
    headers = {name: request.headers.get(name, "") for name in signed.HEADERS}
    return signed.caller(bridge, signer, headers=headers, line=line, body=lambda: request.get_data(cache=True))
