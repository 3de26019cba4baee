"""Every error below /fhir is an OperationOutcome, the framework's own too: the problems of the other doors, told in FHIR."""

import re
from typing import Any

from flask import Flask, Response, request

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.web import problems

MEDIA_TYPE = "application/fhir+json"
#: R4's issue-type for each status; others by their hundreds
CODES = {400: "structure", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported", 406: "not-supported", 409: "conflict",
         410: "deleted", 412: "conflict", 413: "too-long", 415: "not-supported", 422: "business-rule", 429: "throttled",
         503: "transient"}  # fmt: skip

#: BaRS takes an answer without its two ids for a failure of the line
ECHOED = ("X-Request-Id", "X-Correlation-Id")
#: what may be echoed in a header: visible ASCII
VISIBLE = re.compile(r"[!-~]{1,255}")


def register(app: Flask) -> None:
    """Answers every problem at an address below /fhir in FHIR."""

    @app.after_request
    def in_fhir(response: Response) -> Response:
        if not (request.path == "/fhir" or request.path.startswith("/fhir/")):
            return response
        for name in ECHOED:
            if VISIBLE.fullmatch(asked := request.headers.get(name, "")):
                response.headers[name] = asked
        if response.mimetype == problems.MEDIA_TYPE:
            response.set_data(documents.dumps(_outcome(documents.loads(response.get_data()), response.status_code)))
            response.content_type = MEDIA_TYPE
        return response


def _outcome(problem: dict[str, Any], status: int) -> dict[str, Any]:
    code = CODES.get(status, "exception" if status >= 500 else "processing")
    faults = [Fault(**one) for one in problem.get("faults", [])]
    return operation_outcome(faults or [Fault("", problem.get("detail") or problem["title"])], code=code)
