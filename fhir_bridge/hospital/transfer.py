"""One request over HTTP, and a whole answer or none: limits of time and size, never a redirect, nothing from the environment.

A redirect would carry the body, and any key in a header of our own, to whatever host the answer names (`requests` drops only
`Authorization`), so none is followed, on reads either. Nothing raises for the network, and no cause holds a value of the request.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.exchange import NoReply, Reply
from fhir_bridge.hospital.watched import CountedBody, Cut, WatchedAdapter, deadline

_CHUNK = 65_536  # bytes
_MAX_DEPTH = 64  # of a reply: a Bundle of resources with contained resources stays far below
_NEVER_CONNECTED = (NewConnectionError, NameResolutionError, ConnectTimeoutError)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to connect, to wait for the next byte, and for the whole call."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0


@dataclass(frozen=True, slots=True)
class Transfer:
    """How requests are made: within `deadlines`, with replies of at most `max_reply_bytes` (decompressed), to `whom` in words.

    `verify` may name a file of certificate authorities; certificates are checked always.
    """

    deadlines: Deadlines = Deadlines()
    max_reply_bytes: int = 10_000_000
    monotonic: Callable[[], float] = time.monotonic
    verify: bool | str = True
    whom: str = "the hospital"

    def make(
        self, session: requests.Session, method: str, url: str, *, content: bytes | None, headers: Mapping[str, str]
    ) -> Reply | NoReply:
        """One request and its answer, however the network behaves."""
        body = None if content is None else CountedBody(content)
        started = self.monotonic()
        with deadline(self.deadlines.total) as cut:
            try:
                answer = session.request(
                    method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=(self.deadlines.connect, self.deadlines.read),
                    allow_redirects=False,
                    stream=True,
                    verify=self.verify,
                )
                with answer:
                    fault_point("O7")
                    return self._read(answer, started, cut)
            except (requests.RequestException, HTTPError, OSError) as error:
                return _no_reply(error, body, cut, self.whom)

    def _read(self, answer: requests.Response, started: float, cut: Cut) -> Reply | NoReply:
        received = bytearray()
        for chunk in answer.iter_content(_CHUNK):  # decompressed
            received += chunk
            if len(received) > self.max_reply_bytes:
                return NoReply(sent=True, cause=f"the reply is larger than {self.max_reply_bytes} bytes")
            if self.monotonic() - started > self.deadlines.total:
                break
        if cut.struck or self.monotonic() - started > self.deadlines.total:
            return NoReply(sent=True, cause="no whole reply within the deadline")
        content_type = answer.headers.get("Content-Type", "")
        body, size = _json(bytes(received), content_type, self.max_reply_bytes), len(received)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, body, size, content_type)


def new_session(adapter: Callable[[], HTTPAdapter] = WatchedAdapter) -> requests.Session:
    """A session that takes nothing from the environment: no proxy, no .netrc, no cookies kept, no retries."""
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    session.headers.update({"User-Agent": "fhir-bridge", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"})
    session.cookies.set_policy(_NoCookies())
    for scheme in ("http://", "https://"):
        session.mount(scheme, adapter())
    return session


class _NoCookies(DefaultCookiePolicy):
    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


def _json(text: bytes, content_type: str, limit: int) -> Any:
    """The JSON document; None when the answer is something else or is broken: the caller sees type and size, and judges."""
    if "json" not in content_type.lower() or not text:
        return None
    try:
        return documents.loads(text, max_bytes=limit, max_depth=_MAX_DEPTH)
    except Refused:
        return None


def _no_reply(error: Exception, body: CountedBody | None, cut: Cut, whom: str) -> NoReply:
    certificate = _is_caused_by(error, requests.exceptions.SSLError)
    never_connected = isinstance(error, requests.ConnectTimeout) or _is_caused_by(error, *_NEVER_CONNECTED)
    counted = body is not None and cut.connection is not None  # then it is a fact: the network took some of it, or none
    sent = body.started if body is not None and counted else not (never_connected or certificate)
    cause = (
        "no whole reply within the deadline"
        if cut.struck
        else _cause(error, whom, certificate=certificate, never_connected=never_connected)
    )
    return NoReply(sent=sent, cause=cause, certificate=certificate and not sent)


def _is_caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether `error`, or what it wraps (`args[0]`, `reason`), is one of `kinds`."""
    seen = 0
    while isinstance(error, BaseException) and seen < 6:
        if isinstance(error, kinds):
            return True
        inner = getattr(error, "reason", None)
        error = inner if isinstance(inner, BaseException) else next((a for a in error.args if isinstance(a, BaseException)), None)
        seen += 1
    return False


def _cause(error: Exception, whom: str, *, certificate: bool, never_connected: bool) -> str:
    if certificate:
        return f"the TLS connection was refused: check the certificate of {whom} and its name"
    if _is_caused_by(error, NameResolutionError):
        return f"the name of {whom} is not known to the name service"
    if never_connected:
        return f"{whom} did not accept the connection"
    if isinstance(error, requests.Timeout) or "timed out" in type(error).__name__.lower():
        return f"{whom} went silent before the reply was whole"
    return "the connection broke before the reply was whole"
