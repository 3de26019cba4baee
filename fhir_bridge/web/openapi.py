"""The API describes itself: OpenAPI 3.1 at /openapi.json, made from the clinic's own schemas, and a page at /docs from local files."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from fhir_bridge import __version__
from fhir_bridge.sync.bridge import Site
from fhir_bridge.web import changes_docs, clinic_docs, keys, problems, referrals_docs

OURS = Path(__file__).with_name("static")
SWAGGER_UI = Path(str(files("flask_swagger_ui") / "dist"))
DESCRIPTION = (
    "Post the clinic's records; they reach the hospital's FHIR server once. A 2xx means stored. "
    "Every error is application/problem+json and names each fault by its path."
)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's Api with our errors: its own handler drops the headers an error brings (Allow, Retry-After)."""

    def handle_http_exception(self, error: HTTPException) -> Response:
        return problems.of_http_exception(error)

    @classmethod
    def describe(cls, app: Flask, sites: Iterable[Site] = ()) -> "ProblemApi":
        """The description of `app` for `sites`, served by it, ready to take blueprints."""
        app.config.update(
            API_TITLE="fhir-bridge: the clinic's API",
            API_VERSION=__version__,
            OPENAPI_VERSION="3.1.0",
            OPENAPI_URL_PREFIX="/",
        )
        api = cls(app, spec_kwargs={"info": {"description": DESCRIPTION}, "security": [{name: []} for name in keys.SECURITY_SCHEMES]})
        for name, scheme in keys.SECURITY_SCHEMES.items():
            api.spec.components.security_scheme(name, scheme)
        for name, schema in (clinic_docs.schemas(sites) | referrals_docs.PAGES | {"ChangePage": changes_docs.PAGE}).items():
            api.spec.components.schemas[name] = {key: value for key, value in schema.items() if key != "$schema"}
        app.register_blueprint(_docs())
        return api


def _docs() -> Blueprint:
    blueprint = Blueprint("docs", __name__, url_prefix="/docs")

    @blueprint.get("")
    @blueprint.get("/")  # as people and proxies write it
    def page() -> Response:
        return send_from_directory(OURS, "docs.html")

    @blueprint.get("/start.js")
    def start() -> Response:
        return send_from_directory(OURS, "docs.js")

    @blueprint.get("/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(SWAGGER_UI, name)

    return blueprint
