"""Where and how a hospital signs in, said as SMART App Launch 2.2 has it: `/fhir/.well-known/smart-configuration`, open to all.

Our address is the one that is set, or, where none is, the one a caller on this machine used. It is never taken from the Host header of
a stranger's request: an assertion made for somebody else's token endpoint could be passed on to ours under that name.
"""

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from fhir_bridge import documents
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import assertion, scopes
from fhir_bridge.web.problems import RETRY_SOON, Problem

ADDRESS = "/fhir/.well-known/smart-configuration"
TOKEN = "/oauth/token"  # noqa: S105 - an address
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def blueprint(bridge: Bridge) -> Blueprint:
    """The route."""
    routes = Blueprint("smart", __name__)

    @routes.get(ADDRESS)
    def smart_configuration() -> Response:
        return Response(documents.dumps(configuration(token_url(bridge))), content_type="application/json")

    return routes


def token_url(bridge: Bridge) -> str:
    """The address of our token endpoint as hospitals know it, the audience of their assertions; raises `Problem` 503 if none is set."""
    if bridge.public_url:
        return bridge.public_url + TOKEN
    if urlsplit(request.host_url).hostname in _THIS_MACHINE:
        return request.host_url.rstrip("/") + TOKEN
    raise Problem(503, "FHIR_BRIDGE_PUBLIC_URL is not set, so nobody can sign in from elsewhere.", headers=RETRY_SOON)


def configuration(token_endpoint: str) -> dict[str, Any]:
    """What is supported, and nothing that is not."""
    return {
        "token_endpoint": token_endpoint,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(assertion.ALGORITHMS),
        "scopes_supported": ["system/ServiceRequest.cruds", "system/Task.cruds", scopes.ALL],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
