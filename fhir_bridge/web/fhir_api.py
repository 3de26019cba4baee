"""The hospital's door: a referral in any of its shapes is stored and answered; what we hold of it can be read. Every answer is FHIR."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, request

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import BATCH, MESSAGE, ORDER, PATIENT, TASK, TRANSACTION, Incoming
from fhir_bridge.web import clinic_api, fhir_batch, fhir_reads, intake
from fhir_bridge.web.fhir_errors import VISIBLE
from fhir_bridge.web.fhir_reply import PREFIX, base, preferred, refusal, reply, require_json_wanted
from fhir_bridge.web.fhir_statement import INTERACTIONS, VALIDATED, statement

_JSON = ("application/fhir+json", "application/json", "text/json")
_TAKEN = "this would be taken as a referral; nothing was stored"
#: address → the shape it takes; the base takes a batch too
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
        if request.endpoint != "fhir.metadata" and not fhir_batch.let_in():
            clinic_api.sign_in(bridge, "hospital")
        require_json_wanted()

    @routes.get("/metadata")
    def metadata() -> Response:
        return reply(Answer(HTTPStatus.OK, statement(base())))

    receive = {shape: _receiver(bridge, shape) for shape in (ORDER, TASK, MESSAGE)} | {TRANSACTION: _base(bridge)}
    for address, shape in ADDRESSES.items():
        routes.add_url_rule(address, f"post_{shape}", receive[shape], methods=["POST"], strict_slashes=False)
    for kind, can in INTERACTIONS.items():
        if "update" in can:
            routes.add_url_rule(f"/{kind}/<string:id>", f"update_{kind}", receive[kind], methods=["PUT"])
    for kind in VALIDATED:
        routes.add_url_rule(f"/{kind}/$validate", f"validate_{kind}", _validator(bridge, kind), methods=["POST"])
    fhir_reads.register(routes, bridge)
    return routes


def _base(bridge: Bridge) -> Callable[[], Response]:
    def receive() -> Response:
        document, body = intake.read_object(request, media_types=_JSON)
        if document.get("type") != BATCH:
            return _taken(bridge, TRANSACTION, document, body)
        try:
            return reply(fhir_batch.answered(document, base()))
        except Refused as refused:
            return refusal(refused, refer.status_of(refused))

    return receive


def _receiver(bridge: Bridge, shape: str) -> Callable[..., Response]:
    def receive(id: str = "") -> Response:
        return _taken(bridge, shape, *intake.read_object(request, media_types=_JSON), update=id)

    return receive


def _taken(bridge: Bridge, shape: str, document: dict[str, Any], body: bytes, *, update: str = "") -> Response:
    told = request.headers
    ids = (_said("X-Request-Id"), _said("X-Correlation-Id"))
    incoming = Incoming(shape, body, document, base(), *ids, told.get("If-None-Exist", ""), update, told.get("If-Match"))
    try:
        return reply(preferred(refer.take(bridge, g.client, incoming)))
    except Refused as refused:
        return refusal(refused, refer.status_of(refused), refer.code_of(refused))


def _validator(bridge: Bridge, kind: str) -> Callable[[], Response]:
    def validate() -> Response:
        document, body = intake.read_object(request, media_types=_JSON)
        if document.get("resourceType") == "Parameters":
            document = _wrapped(document)
        bundled = MESSAGE if document.get("type") == MESSAGE else TRANSACTION
        shape = bundled if kind == "Bundle" else kind
        try:
            refer.judge(bridge, g.client, Incoming(shape, body, document, base()))
        except Refused as refused:
            return refusal(refused, HTTPStatus.OK, "invalid")
        fine = [Fault("", "this would do as the patient of an order; nothing was stored" if kind == PATIENT else _TAKEN)]
        return reply(Answer(HTTPStatus.OK, operation_outcome(fine, code="informational", severity="information")))

    return validate


def _wrapped(parameters: dict[str, Any]) -> dict[str, Any]:
    """The resource in the Parameters of R4's $validate."""
    said = parameters.get("parameter")
    for one in said if isinstance(said, list) else []:
        if isinstance(one, dict) and one.get("name") == "resource" and isinstance(one.get("resource"), dict):
            found: dict[str, Any] = one["resource"]
            return found
    return {}


def _said(name: str) -> str | None:
    """The header, if it is one that can be echoed."""
    asked = request.headers.get(name, "")
    return asked if VISIBLE.fullmatch(asked) else None
