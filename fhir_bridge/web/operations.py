"""What operations asks: is the process there, and may it be given work. Open to all, and says nothing of patients."""

from http import HTTPStatus

from flask import Blueprint

from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web.problems import RETRY_SOON, Problem


def blueprint(bridge: Bridge) -> Blueprint:
    """/healthz answers while the process lives; /readyz only while the database can be written and its tables fit this version."""
    routes = Blueprint("operations", __name__)

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz")
    def readyz() -> dict[str, str]:
        if faults := bridge.store.check():
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "Not ready for work.", faults=faults, headers=RETRY_SOON)
        return {"status": "ready"}

    return routes
