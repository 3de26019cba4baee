"""The hospital's FHIR API over HTTP: a Flask app around a store, a hospital's data and, if wanted, faults.

Every answer of the API is JSON, every error an OperationOutcome, the framework's own included.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.sandbox import bundles, digits, parse
from fhir_bridge.sandbox.outcome import Rejected, success
from fhir_bridge.sandbox.profile import Hospital
from fhir_bridge.sandbox.reads import Pages, Query, Reader
from fhir_bridge.sandbox.store import Document, Draft, Store, Version
from fhir_bridge.sandbox.writes import Writer, Written

FHIR_JSON = "application/fhir+json;charset=UTF-8"
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _random_id() -> str:
    return secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Server:
    """What every request works with."""

    hospital: Hospital
    store: Store
    new_request_id: Callable[[], str] = _random_id
    pages: Pages = field(default_factory=Pages)

    def reader(self, draft: Draft) -> Reader:
        """Reads for the request at hand."""
        return Reader(draft, self.hospital, self.pages, _base())

    def writer(self, draft: Draft) -> Writer:
        """Writes for the request at hand."""
        return Writer(draft, self.hospital, self.request_id())

    def request_id(self) -> str:
        """The client's X-Request-ID when it is plain, else one of ours; the same all through a request."""
        sent = request.headers.get("X-Request-ID", "")
        if "request_id" not in request.environ:
            request.environ["request_id"] = sent if _PLAIN.fullmatch(sent) else self.new_request_id()
        return str(request.environ["request_id"])


def create_app(hospital: Hospital, *, store: Store | None = None, new_request_id: Callable[[], str] = _random_id) -> Flask:
    """The server as a Flask app, under `/fhir`; `app.extensions["sandbox"]` is its `Server`."""
    app = Flask("fhir_bridge.sandbox", static_folder=None)
    server = Server(hospital, store or Store(), new_request_id)
    app.extensions["sandbox"] = server
    _route(app, server)
    app.register_error_handler(Rejected, _refused)
    app.register_error_handler(Refused, lambda error: _refused(parse.unparsable(f"HAPI-1861: {error}")))
    app.register_error_handler(HTTPException, _framework_error)
    app.register_error_handler(Exception, lambda error: _refused(Rejected(500, f"HAPI-0389: {type(error).__name__}", "exception")))

    @app.after_request
    def name_the_request(answer: Response) -> Response:
        answer.headers["X-Request-ID"] = server.request_id()
        return answer

    return app


def _route(app: Flask, server: Server) -> None:
    api = Api(server)
    routes: list[tuple[str, str, Callable[..., Response]]] = [
        ("GET", "/fhir/metadata", api.metadata),
        ("POST", "/fhir", api.bundle),
        ("GET", "/fhir", api.page),
        ("GET", "/fhir/_history", api.history),
        ("GET", "/fhir/<kind>", api.search),
        ("POST", "/fhir/<kind>/_search", api.search),
        ("GET", "/fhir/<kind>/_history", api.history),
        ("POST", "/fhir/<kind>", api.create),
        ("PUT", "/fhir/<kind>", api.update_where),
        ("DELETE", "/fhir/<kind>", api.delete_where),
        ("POST", "/fhir/<kind>/<identity>", api.operation),
        ("GET", "/fhir/<kind>/<identity>", api.read),
        ("PUT", "/fhir/<kind>/<identity>", api.update),
        ("PATCH", "/fhir/<kind>/<identity>", api.patch),
        ("DELETE", "/fhir/<kind>/<identity>", api.delete),
        ("GET", "/fhir/<kind>/<identity>/_history", api.history),
        ("GET", "/fhir/<kind>/<identity>/_history/<number>", api.version),
    ]
    for method, path, view in routes:
        app.add_url_rule(path, f"{method} {path}", view, methods=[method], provide_automatic_options=False, strict_slashes=False)


@dataclass(frozen=True)
class Api:
    """One method for each interaction of the FHIR REST API."""

    server: Server

    def metadata(self) -> Response:
        """The hospital's CapabilityStatement."""
        return _json(200, self.server.hospital.statement)

    def read(self, kind: str, identity: str) -> Response:
        """read"""
        with self.server.store.draft() as draft:
            return _resource(self.server.reader(draft).read(kind, identity))

    def version(self, kind: str, identity: str, number: str) -> Response:
        """vread"""
        with self.server.store.draft() as draft:
            return _resource(self.server.reader(draft).version(kind, identity, number))

    def search(self, kind: str) -> Response:
        """search-type, by GET or POST _search"""
        query: Query = [*request.args.items(multi=True), *request.form.items(multi=True)]
        with self.server.store.draft() as draft:
            return _json(200, self.server.reader(draft).search(kind, query))

    def page(self) -> Response:
        """A next link of a search."""
        if "_getpages" not in request.args:
            raise Rejected(400, "HAPI-0302: This server needs a resource type in the address", "processing")
        args = request.args
        with self.server.store.draft() as draft:
            reader = self.server.reader(draft)
            return _json(200, reader.page(args["_getpages"], args.get("_getpagesoffset", "0"), count=args.get("_count", "")))

    def history(self, kind: str | None = None, identity: str | None = None) -> Response:
        """history of the system, a type or an instance"""
        with self.server.store.draft() as draft:
            return _json(200, self.server.reader(draft).history(kind, identity, list(request.args.items(multi=True))))

    def create(self, kind: str) -> Response:
        """create, conditional with If-None-Exist"""
        if kind.startswith("$"):
            raise Rejected(400, f"HAPI-0287: The server does not know how to handle POST operation[{kind}]", "not-supported")
        document = self._body(kind)
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).create(kind, document, condition=request.headers.get("If-None-Exist"))
        return self._written(written, location=True)

    def update(self, kind: str, identity: str) -> Response:
        """update, or create by a client's id"""
        document = self._body(kind)
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).update(kind, identity, document, if_match=request.headers.get("If-Match"))
        return self._written(written, location=written.status == 201)

    def update_where(self, kind: str) -> Response:
        """conditional update"""
        document = self._body(kind)
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).update_where(kind, request.query_string.decode(), document)
        return self._written(written, location=False)

    def patch(self, kind: str, identity: str) -> Response:
        """JSON Patch"""
        if request.mimetype != "application/json-patch+json":
            raise Rejected(400, f"HAPI-1965: Invalid Content-Type for PATCH operation: {request.mimetype}", "processing")
        operations = documents.loads(request.get_data())
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).patch(kind, identity, operations, if_match=request.headers.get("If-Match"))
        answer = self._written(written, location=False)
        answer.headers.pop("ETag", None)  # HAPI gives none here
        return answer

    def delete(self, kind: str, identity: str) -> Response:
        """delete"""
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).delete(kind, identity)
        return _deleted(written)

    def delete_where(self, kind: str) -> Response:
        """conditional delete"""
        with self.server.store.draft() as draft:
            written = self.server.writer(draft).delete_where(kind, request.query_string.decode())
        return _deleted(written)

    def bundle(self) -> Response:
        """transaction or batch"""
        body = parse.resource(_bytes(), expected="Bundle")
        entries = bundles.entries_of(body)
        kind = body["type"]
        self.server.hospital.require_system(kind)
        answers = self._transaction(entries) if kind == "transaction" else [self._alone(entry) for entry in entries]
        return _json(200, bundles.response(kind, answers, base=_base()))

    def operation(self, kind: str, identity: str) -> Response:
        """$validate; every other operation is unknown"""
        self.server.hospital.interactions(kind)
        if identity != "$validate":
            raise Rejected(400, f"HAPI-0287: The server does not know how to handle POST operation[{identity}]", "not-supported")
        return _json(200, parse.validated(_bytes()))

    def _transaction(self, entries: list[bundles.Entry]) -> list[Document]:
        with self.server.store.draft() as draft:
            answers = bundles.transaction(self.server.writer(draft), self.server.reader(draft), entries)
        return [self._answered(answer) for _, answer in answers]

    def _alone(self, entry: bundles.Entry) -> Document:
        try:
            with self.server.store.draft() as draft:
                if entry.method == "GET":
                    return bundles.read_entry(self.server.reader(draft), entry)
                written = bundles.perform(self.server.writer(draft), entry)
        except Rejected as rejected:
            return bundles.rejected_entry(rejected)
        return self._answered(written)

    def _answered(self, answer: Written | Document) -> Document:
        if isinstance(answer, dict):
            return answer
        return bundles.answered(answer, representation=_preferred() == "representation")

    def _body(self, kind: str) -> Document:
        self.server.hospital.interactions(kind)
        return parse.resource(_bytes(), expected=kind)

    def _written(self, written: Written, *, location: bool) -> Response:
        version = written.version
        if version is None or version.document is None:
            return _json(written.status, success(written.code, "Done"))
        if written.status == 202:
            return Response(status=202, headers={"Location": f"{_base()}/{version.path}"})
        headers = _version_headers(version)
        if location:
            headers["Location"] = headers["Content-Location"]
        match "minimal" if self.server.hospital.behaviour.bodiless_writes else _preferred():
            case "minimal":
                return Response(status=written.status, headers=headers)
            case "OperationOutcome":
                return _json(written.status, success(written.code, f"Stored {version.versioned}"), headers)
        return _json(written.status, version.document, headers)


def _deleted(written: Written) -> Response:
    version = written.version
    headers = {"Content-Location": f"{_base()}/{version.versioned}"} if version else {}
    return _json(200, success(written.code, "Deleted" if version else "Nothing to delete"), headers)


def _bytes() -> bytes:
    if request.mimetype not in ("application/fhir+json", "application/json", "application/json+fhir"):
        raise Rejected(400, f"HAPI-0449: Invalid Content-Type: {request.mimetype}", "processing")
    return request.get_data()


def _preferred() -> str:
    found = re.search(r"return=(\w+)", request.headers.get("Prefer", ""))
    return found[1] if found else ""


def _base() -> str:
    return request.host_url + "fhir"


def _resource(version: Version) -> Response:
    headers = _version_headers(version)
    if headers["ETag"] in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers=headers)
    return _json(200, version.document, headers)


def _version_headers(version: Version) -> dict[str, str]:
    return {
        "ETag": f'W/"{version.number}"',
        "Last-Modified": format_datetime(version.updated.replace(microsecond=0), usegmt=True),
        "Content-Location": f"{_base()}/{version.versioned}",
    }


def _json(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(digits.dumps(document), status=status, headers=headers or {}, content_type=FHIR_JSON)


def _refused(rejected: Rejected) -> Response:
    headers = {key: f"{_base()}/{value}" if key == "Location" else value for key, value in rejected.headers.items()}
    return _json(rejected.status, rejected.outcome(), headers)


def _framework_error(error: HTTPException) -> Response:
    status = error.code or 500
    return _json(status, Rejected(status, f"HAPI-0302: {error.name}", "not-supported" if status == 405 else "processing").outcome())
