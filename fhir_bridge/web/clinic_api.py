"""The clinic's door: a session is posted, stored and on its way; asked for, it tells how far it came and what the hospital kept."""

import re
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from flask import Response, g, request
from flask_smorest import Blueprint

from fhir_bridge import documents
from fhir_bridge.faults import fault_point
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import clinic_docs, intake, keys
from fhir_bridge.web.problems import Problem

PREFIX = "/api/v1"
_ID = re.compile(r"[A-Za-z0-9.-]{1,40}")


def blueprint(bridge: Bridge) -> Blueprint:
    """The routes under /api/v1; every one asks for a clinic client's key before it looks at anything else."""
    routes = Blueprint("clinic", __name__, url_prefix=PREFIX, description="The clinic's records and how far they came.")

    routes.before_request(lambda: sign_in(bridge, "clinic"))

    @routes.post("/sessions")
    @routes.doc(**clinic_docs.POST_SESSION)
    def post_session() -> Response:
        return post_record(bridge, "session")

    @routes.get("/sessions/<string:record_id>")
    @routes.doc(**clinic_docs.GET_SESSION)
    def get_session(record_id: str) -> dict[str, Any]:
        return progress(bridge, "session", record_id)

    return routes


def sign_in(bridge: Bridge, kind: str) -> None:
    """Makes the client of this kind who calls the request's; raises `Problem` 401 for anybody else, 403 without the scope it needs."""
    keys.let_in(bridge, kind)
    if kind == "hospital":
        keys.require_scope("/fhir")


def post_record(bridge: Bridge, kind: str) -> Response:
    """The request's document, taken in: 202 with where to ask for it."""
    fault_point("I1")
    document, body = intake.read_object(request)
    key = intake.idempotency_key(request)
    answer = accept.accept(bridge, client=g.client, kind=kind, document=document, body_sha256=sha256(body).hexdigest(), key=key)
    return accepted(answer)


def accepted(answer: dict[str, Any]) -> Response:
    """202: stored, and on its way."""
    return Response(
        documents.dumps(answer), status=HTTPStatus.ACCEPTED, content_type="application/json", headers={"Location": answer["url"]}
    )


def may_be_id(text: str) -> bool:
    """Could a record be called this?"""
    return _ID.fullmatch(text) is not None


def progress(bridge: Bridge, kind: str, record_id: str) -> dict[str, Any]:
    """The record and how far it came; raises `Problem` 404."""
    found: dict[str, Any] | None = None
    if may_be_id(record_id):  # what no record can be called is not asked of the database, which may refuse it
        found = status.of_record(bridge, tenant=g.client.tenant, kind=kind, id=record_id)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"No {kind} of yours has this id.")
    return found
