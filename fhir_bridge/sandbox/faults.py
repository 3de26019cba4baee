"""Failures on order: a layer around the server that drops, delays, refuses or garbles the requests a script names.

The script is a list of `Failure`s, given in Python, read from a JSON file, or posted to `/_faults` (GET tells what is left, DELETE
forgets it). Each says which requests it takes, how many it lets pass first, and how many it spoils. What fails below HTTP (refused,
reset, broken TLS) is in `relay`.
"""

import gzip
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from werkzeug.wrappers import Request, Response

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sandbox.outcome import Rejected

Wsgi = Callable[..., Iterable[bytes]]
ADDRESS = "/_faults"
_EMPTY_MEGABYTE = b" " * 1_000_000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One kind of trouble for the requests whose method and path match (the path by regular expression, anywhere in it).

    The first `skip` matching requests pass, the next `times` are spoilt (0: all). `seconds` is how long a stall or a drip takes,
    `retry_after` a header's text (seconds or a date), `status` replaces the kind's own, `megabytes` is for `oversize` and `gzip-bomb`.
    """

    kind: str
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int = 1
    seconds: float = 0
    retry_after: str = ""
    status: int = 0
    megabytes: int = 20

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise Refused([Fault("kind", f"is not one of {', '.join(sorted(KINDS))}")])


@dataclass
class Faults:
    """The WSGI app that spoils requests to another; `spoilt` counts them by kind."""

    app: Wsgi
    script: list[Failure] = field(default_factory=list)
    sleep: Callable[[float], None] = time.sleep
    spoilt: dict[str, int] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        if request.path == ADDRESS:
            return self._ordered(request)(environ, start_response)
        failure = self._next(request.method, request.path)
        if failure is None:
            return self.app(environ, start_response)
        # read whole: it is the answer that fails, never the sending
        environ["wsgi.input"] = io.BytesIO(request.get_data())
        return KINDS[failure.kind](Spoiling(self, failure, environ))(environ, start_response)

    def add(self, *failures: Failure) -> None:
        """Orders more trouble."""
        with self._lock:
            self.script.extend(failures)

    def clear(self) -> None:
        """From now on everything works."""
        with self._lock:
            self.script.clear()
            self._seen.clear()

    def _next(self, method: str, path: str) -> Failure | None:
        with self._lock:
            for place, failure in enumerate(self.script):
                if failure.method in ("", method) and re.search(failure.path, path):
                    seen = self._seen[place] = self._seen.get(place, 0) + 1
                    if seen > failure.skip and (not failure.times or seen <= failure.skip + failure.times):
                        self.spoilt[failure.kind] = self.spoilt.get(failure.kind, 0) + 1
                        return failure
        return None

    def _ordered(self, request: Request) -> Response:
        try:
            if request.method == "POST":
                self.add(*read(request.get_data()))
            elif request.method == "DELETE":
                self.clear()
        except Refused as refused:
            return _json(Rejected(400, str(refused)))
        left = {"script": [asdict(failure) for failure in self.script], "spoilt": self.spoilt}
        return Response(documents.dumps(left), mimetype="application/json")


def read(text: bytes) -> list[Failure]:
    """The script in a JSON list; raises `Refused` for a kind or field that is unknown."""
    found = documents.loads(text)
    try:
        return [Failure(**failure) for failure in found]
    except TypeError:
        raise Refused([Fault("", "is no list of failures: each is an object with kind and fields of Failure")]) from None


def read_file(file: Path) -> list[Failure]:
    """The script in a JSON file."""
    return read(file.read_bytes())


@dataclass(frozen=True)
class Spoiling:
    """One request about to be spoilt."""

    faults: Faults
    failure: Failure
    environ: dict[str, Any]

    def answer(self) -> Response:
        """What the server itself answers; everything it does is done."""
        return Response.from_app(self.faults.app, self.environ, buffered=True)

    def wait(self) -> None:
        """Lets the ordered time pass."""
        self.faults.sleep(self.failure.seconds)

    def drop(self) -> NoReturn:
        """Ends the connection without another byte."""
        connection = self.environ.get("werkzeug.socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError


def _drop_before(spoiling: Spoiling) -> Response:
    spoiling.drop()


def _drop_after(spoiling: Spoiling) -> Response:
    spoiling.answer()
    spoiling.drop()


def _stall_before(spoiling: Spoiling) -> Response:
    spoiling.wait()
    return spoiling.answer()


def _stall_after(spoiling: Spoiling) -> Response:
    answer = spoiling.answer()
    spoiling.wait()
    return answer


def _twice(spoiling: Spoiling) -> Response:
    request = Request(spoiling.environ)
    body = request.get_data()
    for _ in range(2):
        answer = Response.from_app(spoiling.faults.app, {**spoiling.environ, "wsgi.input": io.BytesIO(body)}, buffered=True)
    return answer


def _truncated(spoiling: Spoiling) -> Response:
    return _slowly(spoiling, lambda body: _then_drop(spoiling, body[: len(body) // 2]))


def _drip(spoiling: Spoiling) -> Response:
    def pieces(body: bytes) -> Iterator[bytes]:
        for start in range(0, len(body), 16):
            spoiling.wait()
            yield body[start : start + 16]

    return _slowly(spoiling, pieces)


def _slowly(spoiling: Spoiling, pieces: Callable[[bytes], Iterator[bytes]]) -> Response:
    answer = spoiling.answer()
    body = answer.get_data()
    spoilt = Response(pieces(body), status=answer.status, headers=answer.headers)
    spoilt.headers["Content-Length"] = str(len(body))
    return spoilt


def _then_drop(spoiling: Spoiling, body: bytes) -> Iterator[bytes]:
    yield body
    spoiling.drop()


def _garbage(spoiling: Spoiling) -> Response:
    return Response(b'{"resourceType": "Bundle", "entry": [', mimetype="application/fhir+json")


def _html(spoiling: Spoiling) -> Response:
    return Response("<html><body>Please sign in to the guest network.</body></html>", mimetype="text/html")


def _wrong_type(spoiling: Spoiling) -> Response:
    return Response(b'{"resourceType": "Basic", "id": "1"}', mimetype="application/fhir+json")


def _oversize(spoiling: Spoiling) -> Response:
    pieces = (_EMPTY_MEGABYTE for _ in range(spoiling.failure.megabytes))
    return Response(pieces, mimetype="application/fhir+json")


def _gzip_bomb(spoiling: Spoiling) -> Response:
    bomb = gzip.compress(_EMPTY_MEGABYTE * spoiling.failure.megabytes)
    return Response(bomb, mimetype="application/fhir+json", headers={"Content-Encoding": "gzip"})


def _redirect(spoiling: Spoiling) -> Response:
    return Response(status=spoiling.failure.status or 307, headers={"Location": "https://elsewhere.example/fhir"})


def _refusing(status: int, text: str, *, after: bool = False) -> Callable[[Spoiling], Response]:
    def refuse(spoiling: Spoiling) -> Response:
        if after:
            spoiling.answer()
        answer = _json(Rejected(spoiling.failure.status or status, text))
        if spoiling.failure.retry_after:
            answer.headers["Retry-After"] = spoiling.failure.retry_after
        return answer

    return refuse


def _json(rejected: Rejected) -> Response:
    return Response(documents.dumps(rejected.outcome()), status=rejected.status, mimetype="application/fhir+json")


KINDS: dict[str, Callable[[Spoiling], Response]] = {
    "drop-before": _drop_before,
    "drop-after": _drop_after,
    "error-before": _refusing(500, "The server failed before it stored anything"),
    "error-after": _refusing(500, "The server failed after it had stored everything", after=True),
    "unavailable": _refusing(503, "The server is being maintained"),
    "throttled": _refusing(429, "Too many requests"),
    "unauthorized": _refusing(401, "The token is not valid"),
    "forbidden": _refusing(403, "The client may not do this"),
    "conflict": _refusing(409, "Another request changed this at the same time"),
    "precondition-failed": _refusing(412, "A condition does not hold"),
    "stall-before": _stall_before,
    "stall-after": _stall_after,
    "twice": _twice,
    "truncated": _truncated,
    "drip": _drip,
    "garbage": _garbage,
    "html": _html,
    "wrong-type": _wrong_type,
    "oversize": _oversize,
    "gzip-bomb": _gzip_bomb,
    "redirect": _redirect,
}
