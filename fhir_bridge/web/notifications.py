"""Where hospitals say that something changed: an address nobody can guess. What comes with it is not read, so it cannot deceive."""

from flask import Blueprint, Response

from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.telling import subscriptions


def blueprint(bridge: Bridge) -> Blueprint:
    """One address for each type of each hospital; it is POSTed to, as an R4 Subscription without `payload` is."""
    routes = Blueprint("notifications", __name__, url_prefix=subscriptions.PATH)

    @routes.post("/<string:token>")
    def told(token: str) -> Response:
        return Response(status=204 if subscriptions.notified(bridge, token) else 404)

    return routes
