"""The web application, put together: one `Bridge` behind the clinic's API, its description, and what operations asks."""

from typing import Any

from flask import Flask, Response, request

from fhir_bridge import documents
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import (
    appointments_api,
    changes_api,
    clinic_api,
    fhir_api,
    fhir_errors,
    jwks,
    notifications,
    openapi,
    operations,
    problems,
    public_address,
    referrals_api,
    requests_log,
    smart_configuration,
    token_api,
)
from fhir_bridge.web.provider import DocumentProvider

# Nothing is loaded from elsewhere; Swagger UI alone needs inline styles and data: images.
CONTENT_SECURITY_POLICY = "default-src 'self'; frame-ancestors 'none'"
DOCS_POLICY = f"{CONTENT_SECURITY_POLICY}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class BridgeApp(Flask):
    """Flask with our JSON."""

    json_provider_class = DocumentProvider


def create_app(bridge: Bridge, *, log: Any = None) -> Flask:
    """The application for `bridge`; `log` takes its lines (default: JSON on stdout)."""
    log = log or requests_log.logger()
    app = BridgeApp(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=documents.MAX_BYTES)
    app.url_map.merge_slashes = False  # else an address with // is answered with the framework's own page that leads elsewhere
    requests_log.register(app, log)
    problems.register(app, log)
    doors = (clinic_api, appointments_api, referrals_api, changes_api)
    openapi.register(app, [door.blueprint(bridge) for door in doors], bridge.sites.values())
    app.register_blueprint(fhir_api.blueprint(bridge))
    fhir_errors.register(app)
    for way_in in (smart_configuration, token_api):
        app.register_blueprint(way_in.blueprint(bridge))
    app.register_blueprint(operations.blueprint(bridge))
    app.register_blueprint(jwks.blueprint(bridge))
    app.register_blueprint(notifications.blueprint(bridge))
    app.after_request(_guard)
    app.wsgi_app = public_address.behind(app.wsgi_app, bridge)  # type: ignore[method-assign]
    return app


def _guard(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = DOCS_POLICY if request.path.startswith("/docs") else CONTENT_SECURITY_POLICY
    response.headers.setdefault("Cache-Control", "no-store")
    return response
