"""How the hospital's door answers: FHIR as JSON, as much of it as `Prefer` asks for, and as `_format` and `Accept` let it be."""

from http import HTTPStatus
from typing import Any

from flask import Response, request

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.web import fhir_errors
from fhir_bridge.web.problems import Problem

PREFIX = "/fhir"
CONTENT_TYPE = f"{fhir_errors.MEDIA_TYPE}; charset=utf-8"
_ACCEPTED = ("application/fhir+json", "application/json", "text/json")
_FORMATS = frozenset({*_ACCEPTED, "application/fhir json", "json"})  # a + that was not escaped arrives as a space


def base() -> str:
    """The address of the door, as the client called it, without a slash at its end."""
    return f"{request.host_url.rstrip('/')}{PREFIX}"


def require_json_wanted() -> None:
    """Raises `Problem` 406 for a client that wants anything else."""
    asked = request.values.get("_format") if request.mimetype == "application/x-www-form-urlencoded" else request.args.get("_format")
    accepts = request.accept_mimetypes
    if (asked and asked.partition(";")[0] not in _FORMATS) or (accepts and not asked and not accepts.best_match(_ACCEPTED)):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, "This server speaks JSON: ask for application/fhir+json.")


def reply(answer: Answer) -> Response:
    """`answer` on its way; with `_pretty=true` laid out for people."""
    body = b"" if answer.body is None else _written(answer.body)
    return Response(body, status=int(answer.status), headers=answer.headers, content_type=CONTENT_TYPE)


def refusal(refused: Refused, status: HTTPStatus, code: str | None = None) -> Response:
    """Every fault of `refused` as an OperationOutcome; `code` is R4's issue-type where the status does not tell it."""
    return reply(Answer(status, operation_outcome(refused.faults, code=code or fhir_errors.CODES.get(status, "processing"))))


def preferred(answer: Answer) -> Answer:
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


def _written(body: dict[str, Any]) -> bytes:
    return documents.pretty(body).encode() if request.args.get("_pretty") == "true" else documents.dumps(body)
