"""Our public keys, for the hospitals we sign in to (RFC 7517; SMART App Launch 2.2)."""

from flask import Blueprint, Response

from fhir_bridge import documents
from fhir_bridge.sync.bridge import Bridge

ADDRESS = "/.well-known/jwks.json"
# a key is published a day before it signs, so an hour in a cache between harms nobody
MAX_AGE_SECONDS = 3600


def blueprint(bridge: Bridge) -> Blueprint:
    """The route; an empty set where no key was made."""
    routes = Blueprint("jwks", __name__)

    @routes.get(ADDRESS)
    def jwks() -> Response:
        body = documents.dumps(bridge.keys.jwks(bridge.clock()) if bridge.keys else {"keys": []})
        return Response(body, content_type="application/json", headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"})

    return routes
