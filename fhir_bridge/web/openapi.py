"""The API describes itself: OpenAPI 3.1 at /openapi.json, made from the clinic's own schemas, and a page at /docs from local files."""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, send_from_directory
from flask_smorest import Api

from fhir_bridge import __version__
from fhir_bridge.sync.bridge import Site
from fhir_bridge.web import changes_docs, clinic_docs, keys, referrals_docs

OURS = Path(__file__).with_name("static")
SWAGGER_UI = Path(str(files("flask_swagger_ui") / "dist"))
DESCRIPTION = (
    "Post the clinic's records; they reach the hospital's FHIR server once. A 2xx means stored. "
    "Every error is application/problem+json and names each fault by its path."
)


def register(app: Flask, doors: Sequence[Blueprint], sites: Iterable[Site] = ()) -> None:
    """Serves `doors`, and for `sites` what they are, which is put together when somebody asks for the first time."""
    for door in doors:
        app.register_blueprint(door)
    app.register_blueprint(_docs())
    described = cache(lambda: _described(doors, tuple(sites)))
    app.add_url_rule("/openapi.json", "openapi", lambda: described())


def _described(doors: Sequence[Blueprint], sites: Iterable[Site]) -> dict[str, Any]:
    app = Flask(__name__, static_folder=None)  # only to be described
    app.config.update(API_TITLE="fhir-bridge: the clinic's API", API_VERSION=__version__, OPENAPI_VERSION="3.1.0")
    api = Api(app, spec_kwargs={"info": {"description": DESCRIPTION}, "security": [{name: []} for name in keys.SECURITY_SCHEMES]})
    for name, scheme in keys.SECURITY_SCHEMES.items():
        api.spec.components.security_scheme(name, scheme)
    for name, schema in (clinic_docs.schemas(sites) | referrals_docs.PAGES | {"ChangePage": changes_docs.PAGE}).items():
        api.spec.components.schemas[name] = {key: value for key, value in schema.items() if key != "$schema"}
    for door in doors:
        api.register_blueprint(door)
    found: dict[str, Any] = api.spec.to_dict()
    return found


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
