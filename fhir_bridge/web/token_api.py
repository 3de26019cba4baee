"""The token endpoint (RFC 6749, 4.4; SMART Backend Services): a signed assertion in, a token for five minutes out.

Every refusal of a client has the same status and the same words, so that nobody learns from us which clients exist or what is wrong
with a forgery; the log says why, in a word of ours.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Request, Response, g, request

from fhir_bridge import documents
from fhir_bridge.sync import sign_in
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients.assertion import Denied
from fhir_bridge.web.smart_configuration import TOKEN, token_url

MAX_BYTES = 32_000
FORM = "application/x-www-form-urlencoded"
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_SAID = {
    "invalid_client": "The client could not be authenticated.",
    "invalid_request": "Send a form (application/x-www-form-urlencoded) with each parameter once.",
    "invalid_scope": "None of the scopes is registered for this client.",
    "unsupported_grant_type": "Send grant_type=client_credentials.",
}


def blueprint(bridge: Bridge) -> Blueprint:
    """The route."""
    routes = Blueprint("sign_in", __name__)

    @routes.post(TOKEN)
    def token() -> Response:
        try:
            granted = sign_in.grant(bridge, _form(request), audience=token_url(bridge), address=request.remote_addr)
        except Denied as denied:
            g.refused = denied.reason
            if denied.error == "invalid_client" and (seconds := sign_in.refused(bridge, request.remote_addr)):
                return _reply(HTTPStatus.TOO_MANY_REQUESTS, _told("invalid_client"), {"Retry-After": str(seconds)})
            status = HTTPStatus.UNAUTHORIZED if denied.error == "invalid_client" else HTTPStatus.BAD_REQUEST
            return _reply(status, _told(denied.error))
        answer = {"access_token": granted.token, "token_type": "bearer", "expires_in": granted.seconds, "scope": granted.scopes}
        return _reply(HTTPStatus.OK, answer)

    return routes


def _form(request: Request) -> dict[str, str]:
    """The parameters of a token request; raises `Denied` for what is no form, too long, or says a parameter twice."""
    if request.mimetype != FORM:
        raise Denied("no form", "invalid_request")
    if (request.content_length or 0) > MAX_BYTES:
        raise Denied("request too long")
    try:
        pairs = parse_qsl(request.get_data(cache=False).decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Denied("no form", "invalid_request") from None
    if len(dict(pairs)) < len(pairs):
        raise Denied("a parameter twice", "invalid_request")
    return dict(pairs)


def _told(error: str) -> dict[str, str]:
    return {"error": error, "error_description": _SAID[error]}


def _reply(status: HTTPStatus, body: dict[str, Any], headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    return Response(documents.dumps(body), status=status, headers={**_NOT_KEPT, **headers}, content_type="application/json")
