"""The clinic's side door for follow-ups: an appointment on its own, made, asked for and changed without a session."""

from http import HTTPStatus
from typing import Any

from flask import Response, g, request
from flask_smorest import Blueprint

from fhir_bridge.sync.amend import amend
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import clinic_api, intake
from fhir_bridge.web.clinic_docs import IDEMPOTENCY_KEY, STORED, as_json, errors
from fhir_bridge.web.problems import Problem

POST: dict[str, Any] = {
    "operationId": "postAppointment",
    "summary": "Hand over an appointment that comes without a session, or a changed version of one",
    "description": "A 202 means stored. A change is the same follow_up.id with a higher follow_up.version.",
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {"required": True, "content": as_json("appointment")},
    "responses": {"202": STORED, **errors("400", "401", "409", "413", "415", "422", "503")},
}
GET: dict[str, Any] = {
    "operationId": "getAppointment",
    "summary": "An appointment, how far it came, what was sent and what the hospital kept",
    "responses": {"200": {"description": "The record and its deliveries.", "content": as_json("Progress")}, **errors("401", "404", "503")},
}
_PATCH_SCHEMA = {"schema": {"type": "object", "description": "JSON Merge Patch (RFC 7396) of the appointment."}}
PATCH: dict[str, Any] = {
    "operationId": "patchAppointment",
    "summary": "Change an appointment in part",
    "description": (
        "A JSON Merge Patch: what it names is replaced, null removes. The next version is made of it and sent; name "
        "follow_up.version to be refused with 409 when somebody else was faster."
    ),
    "parameters": [IDEMPOTENCY_KEY],
    "requestBody": {
        "required": True,
        "content": {"application/merge-patch+json": _PATCH_SCHEMA, "application/json": _PATCH_SCHEMA},
    },
    "responses": {"202": STORED, **errors("400", "401", "404", "409", "413", "415", "422", "503")},
}


def blueprint(bridge: Bridge) -> Blueprint:
    """The routes of appointments; a clinic client's key opens them, and nothing else does."""
    routes = Blueprint("appointments", __name__, url_prefix=f"{clinic_api.PREFIX}/appointments", description="Follow-ups on their own.")
    routes.before_request(lambda: clinic_api.sign_in(bridge, "clinic"))

    @routes.post("")
    @routes.doc(**POST)
    def post_appointment() -> Response:
        return clinic_api.post_record(bridge, "appointment")

    @routes.get("/<string:record_id>")
    @routes.doc(**GET)
    def get_appointment(record_id: str) -> dict[str, Any]:
        return clinic_api.progress(bridge, "appointment", record_id)

    @routes.patch("/<string:record_id>")
    @routes.doc(**PATCH)
    def patch_appointment(record_id: str) -> Response:
        return _patch(bridge, record_id)

    return routes


def _patch(bridge: Bridge, record_id: str) -> Response:
    patch, body = intake.read_object(request)
    key = intake.idempotency_key(request)
    clinic_api.progress(bridge, "appointment", record_id)
    answer = amend(bridge, client=g.client, kind="appointment", id=record_id, patch=patch, body=body, key=key)
    if answer is None:
        raise Problem(HTTPStatus.NOT_FOUND, "No appointment of yours has this id.")
    return clinic_api.accepted(answer)
