"""The hospital's door: a referral in any of its shapes is stored and answered; what we hold of it can be read. Every answer is FHIR."""

import re
from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, Response, g, request

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.sync import refer, refer_held
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.refer_answers import Answer
from fhir_bridge.sync.refer_shape import MESSAGE, ORDER, TASK, TRANSACTION, Incoming
from fhir_bridge.web import clinic_api, fhir_errors, intake
from fhir_bridge.web.fhir_statement import statement
from fhir_bridge.web.problems import Problem

PREFIX = "/fhir"
CONTENT_TYPE = f"{fhir_errors.MEDIA_TYPE}; charset=utf-8"
_FORMATS = ("application/fhir+json", "application/json", "text/json", "json")
_REQUEST_ID = re.compile(r"[!-~]{1,255}")
_RESOURCE_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
#: address → the shape it takes
ADDRESSES = {
    "": TRANSACTION,
    "/": TRANSACTION,
    "/ServiceRequest": ORDER,
    "/Task": TASK,
    "/$process-message": MESSAGE,
    "/ServiceRequest/$referral-request": MESSAGE,
}


def blueprint(bridge: Bridge) -> Blueprint:
    """The routes below /fhir. A hospital's key opens all but /fhir/metadata, before the body is looked at."""
    routes = Blueprint("fhir", __name__, url_prefix=PREFIX)

    @routes.before_request
    def let_in() -> None:
        if request.endpoint != "fhir.metadata":
            clinic_api.sign_in(bridge, "hospital")
        _require_json_wanted()

    @routes.get("/metadata")
    def metadata() -> Response:
        return _reply(Answer(HTTPStatus.OK, statement(_base())))

    receive = _receiver(bridge)
    for address, shape in ADDRESSES.items():
        routes.add_url_rule(address, f"post_{shape}", receive, methods=["POST"], strict_slashes=False)

    @routes.get("/<any(ServiceRequest, Task):kind>/<string:resource_id>")
    def read(kind: str, resource_id: str) -> Response:
        found = refer_held.read(bridge, g.client, kind, resource_id) if _RESOURCE_ID.fullmatch(resource_id) else None
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"No {kind} of a referral of yours has this id.")
        if found.headers["ETag"] in request.headers.get("If-None-Match", ""):
            found = Answer(HTTPStatus.NOT_MODIFIED, None, found.headers)
        return _reply(found)

    return routes


def _receiver(bridge: Bridge) -> Callable[[], Response]:
    def receive() -> Response:
        shape = ADDRESSES[str(request.url_rule).removeprefix(PREFIX)]
        document, body = intake.read_object(request)
        asked = request.headers.get("X-Request-Id", "")
        request_id = asked if _REQUEST_ID.fullmatch(asked) else None
        try:
            answer = refer.take(bridge, g.client, Incoming(shape, body, document, _base(), request_id))
        except Refused as refused:
            status = refer.status_of(refused)
            answer = Answer(status, operation_outcome(refused.faults, code=fhir_errors.CODES[status]))
        return _reply(_preferred(answer))

    return receive


def _require_json_wanted() -> None:
    asked = request.args.get("_format")
    accepts = request.accept_mimetypes
    if (asked and asked.partition(";")[0] not in _FORMATS) or (accepts and not asked and not accepts.best_match(_FORMATS[:2])):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, "This server speaks JSON: ask for application/fhir+json.")


def _preferred(answer: Answer) -> Answer:
    """`Prefer: return=…` of R4's http page, for a resource that was created."""
    wanted = request.headers.get("Prefer", "")
    if "Location" not in answer.headers or "return=" not in wanted:
        return answer
    if "return=minimal" in wanted:
        return Answer(answer.status, None, answer.headers)
    if "return=OperationOutcome" in wanted:
        told = operation_outcome([Fault("", "the referral is stored")], code="informational", severity="information")
        return Answer(answer.status, told, answer.headers)
    return answer


def _reply(answer: Answer) -> Response:
    body = b"" if answer.body is None else documents.dumps(answer.body)
    return Response(body, status=int(answer.status), headers=answer.headers, content_type=CONTENT_TYPE)


def _base() -> str:
    return f"{request.host_url.rstrip('/')}{PREFIX}"
