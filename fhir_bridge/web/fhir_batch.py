"""A batch at the hospital's door: each entry is the request it names, answered as if it had come alone.

An entry goes through the whole application again, for the sender who is signed in, and needs its own scope. What the Bundle's own
request says of one message (`X-Request-ID`, a condition) holds for no entry.
"""

import re
from contextvars import Context
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from flask import Flask, current_app, g, request
from werkzeug.wrappers import Response

from fhir_bridge import documents
from fhir_bridge.errors import Fault
from fhir_bridge.fhir import check
from fhir_bridge.fhir.outcome import operation_outcome
from fhir_bridge.sync.referrals.answers import Answer
from fhir_bridge.sync.referrals.shape import BATCH, NotFhir
from fhir_bridge.web import fhir_errors, keys
from fhir_bridge.web.fhir_reply import PREFIX

MOST = 50
Entry = dict[str, Any]
_CLIENT = "fhir_bridge.client"  # no header has such a name
#: an entry's conditions, and the headers they are of a request alone
_CONDITIONS = {"ifMatch": "HTTP_IF_MATCH", "ifNoneMatch": "HTTP_IF_NONE_MATCH", "ifNoneExist": "HTTP_IF_NONE_EXIST"}
_OF_THE_BUNDLE = frozenset({"HTTP_X_REQUEST_ID", "HTTP_X_CORRELATION_ID", "CONTENT_LENGTH", "CONTENT_TYPE", *_CONDITIONS.values()})
_PATH = re.compile(r"[^/]+(/[^/]+)*")


def answered(bundle: dict[str, Any], base: str) -> Answer:
    """The batch-response, entry by entry. Raises `NotFhir` for what is no batch; what is wrong inside an entry is its own answer."""
    entries = bundle.get("entry", [])
    if isinstance(entries, list) and len(entries) > MOST:
        raise NotFhir([Fault("Bundle.entry", f"has more than {MOST} entries; send several batches")])
    bare = [{k: v for k, v in one.items() if k != "resource"} if isinstance(one, dict) else one for one in entries or [None]]
    if faults := check.faults({**bundle, "entry": bare}):
        raise NotFhir(faults)
    made = [_entry(_alone(one, base)) for one in entries]
    return Answer(HTTPStatus.OK, {"resourceType": "Bundle", "type": f"{BATCH}-response", "entry": made})


def let_in() -> bool:
    """Is this request an entry of a batch? Then its sender is known already; raises `Problem` 403 without the entry's own scope."""
    client = request.environ.get(_CLIENT)
    if client is None:
        return False
    g.client, g.client_name = client, client.name
    keys.require_scope(PREFIX)
    return True


def _alone(entry: Entry, base: str) -> Response:
    """The entry's request, answered by the application in a context of its own."""
    path, _, query = str(entry["request"]["url"]).removeprefix(base).lstrip("/").partition("?")
    if not _PATH.fullmatch(path := unquote(path)):
        told = [Fault("Bundle.entry.request.url", "must be an address below this base, like ServiceRequest or Task/1, and no Bundle's")]
        return Response(documents.dumps(operation_outcome(told, code="structure")), HTTPStatus.BAD_REQUEST)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return Context().run(Response.from_app, app.wsgi_app, _environ(entry, path, query), buffered=True)


def _environ(entry: Entry, path: str, query: str) -> dict[str, Any]:
    """The WSGI environment of the entry's request: the Bundle's own, but for what is the entry's."""
    asked = entry["request"]
    kept = {k: v for k, v in request.environ.items() if k not in _OF_THE_BUNDLE and not k.startswith(("werkzeug.", "flask."))}
    body = documents.dumps(entry["resource"]) if "resource" in entry else b""
    place = {"REQUEST_METHOD": asked["method"], "PATH_INFO": _as_wsgi(f"{PREFIX}/{path}"), "QUERY_STRING": _as_wsgi(query)}
    sent: dict[str, Any] = {"wsgi.input": BytesIO(body)}
    sent |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": fhir_errors.MEDIA_TYPE} if body else {}
    return kept | place | sent | {header: asked[name] for name, header in _CONDITIONS.items() if name in asked} | {_CLIENT: g.client}


def _as_wsgi(text: str) -> str:
    """PEP 3333: the bytes, each as the character of its number."""
    return text.encode("utf-8", "replace").decode("latin-1")


def _entry(answer: Response) -> Entry:
    """`answer` as R4 has it in a batch-response: an OperationOutcome beside the status, any other resource as the entry's."""
    said = answer.get_data()
    body = documents.loads(said, max_bytes=len(said)) if said else None
    told = {"location": answer.headers.get("Location"), "etag": answer.headers.get("ETag")}
    told["lastModified"] = answer.last_modified.isoformat() if answer.last_modified else None
    status = f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}"
    response: Entry = {"status": status, **{name: value for name, value in told.items() if value}}
    if body and body["resourceType"] == "OperationOutcome":
        return {"response": response | {"outcome": body}}
    return {"resource": body, "response": response} if body else {"response": response}
