"""Every error under one roof: RFC 9457 problem+json, each fault named by its path, nothing of the document repeated.

`{"title", "status", "detail", "faults": [{"path", "message"}]}`; the framework's own errors (404, 405, 413 …) come out in the same
shape and keep their headers (`Allow`, `Retry-After`, `WWW-Authenticate`).
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.store.database import Unavailable
from fhir_bridge.store.records import VersionTaken
from fhir_bridge.sync.accept import KeyReused
from fhir_bridge.web.requests_log import failure

MEDIA_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error, as RFC 9457 has it.",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong and what to do."},
        "request_id": {"type": "string", "description": "Name it when you ask us; our log knows it."},
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message"],
                "properties": {"path": {"type": "string", "examples": ["readings[2].heart_rate"]}, "message": {"type": "string"}},
            },
        },
    },
}


RETRY_SOON = {"Retry-After": "5"}


class Problem(BridgeError):
    """A request refused with one status, what to do, and headers that belong to it."""

    def __init__(self, status: int, detail: str, *, faults: Iterable[Fault] = (), headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.faults = tuple(faults)
        self.headers = headers or {}


def render(problem: Problem) -> Response:
    """`problem` as the reply a client gets."""
    body: dict[str, Any] = {"title": problem.status.phrase, "status": problem.status.value, "detail": str(problem)}
    if request_id := g.get("request_id"):
        body["request_id"] = request_id
    if problem.faults:
        body["faults"] = [{"path": fault.path, "message": fault.message} for fault in problem.faults]
    return Response(documents.dumps(body), status=problem.status.value, headers=problem.headers, content_type=MEDIA_TYPE)


def of_refusal(refused: Refused) -> Response:
    """A document, or a key used twice, that was read and refused: 422 with every fault."""
    again = "choose a new key" if isinstance(refused, KeyReused) else "mend every fault and send it again"
    return render(Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"The request was refused; {again}.", faults=refused.faults))


def of_http_exception(error: HTTPException) -> Response:
    """The framework's own errors in our shape, with their own headers but the content type."""
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return render(Problem(error.code or 500, error.description or "", headers=headers))


def register(app: Flask, log: Any) -> None:
    """Give every error of `app` this shape; what nobody expected is a 500 that says nothing of its cause, which goes to `log`."""
    app.register_error_handler(Problem, render)
    app.register_error_handler(Refused, of_refusal)
    app.register_error_handler(HTTPException, of_http_exception)

    @app.errorhandler(VersionTaken)
    def conflict(error: VersionTaken) -> Response:
        return render(Problem(HTTPStatus.CONFLICT, str(error)))

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        log.error("unavailable", request_id=g.get("request_id"), **failure(error))
        return render(Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The database cannot take it now. Send it again.", headers=RETRY_SOON))

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        log.error("unforeseen", request_id=g.get("request_id"), **failure(error))
        return render(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The bridge failed. Nothing is known to be stored; send it again."))
