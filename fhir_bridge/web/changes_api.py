"""The clinic follows what changed: a page at a time from its own cursor, without patient data."""

from http import HTTPStatus
from typing import Any

from flask import g, request
from flask_smorest import Blueprint

from fhir_bridge.sync import changes
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import changes_docs, clinic_api
from fhir_bridge.web.problems import Problem


def blueprint(bridge: Bridge) -> Blueprint:
    """The route of the feed; a clinic client's key opens it."""
    routes = Blueprint("changes", __name__, url_prefix=f"{clinic_api.PREFIX}/changes", description="What changed, to be followed.")
    routes.before_request(lambda: clinic_api.sign_in(bridge, "clinic"))

    @routes.get("")
    @routes.doc(**changes_docs.GET)
    def list_changes() -> dict[str, Any]:
        after = _number("after", "0", low=0, high=10**12)
        limit = _number("limit", "100", low=1, high=changes_docs.MOST)
        try:
            return changes.page(bridge, g.client.tenant, after=after, limit=limit)
        except changes.UnknownCursor as unknown:
            raise Problem(HTTPStatus.BAD_REQUEST, str(unknown)) from None

    return routes


def _number(name: str, default: str, *, low: int, high: int) -> int:
    said = request.args.get(name, default)
    if not (said.isascii() and said.isdigit() and len(said) <= len(str(high)) and low <= int(said) <= high):
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name} must be a number from {low} to {high}.")
    return int(said)
