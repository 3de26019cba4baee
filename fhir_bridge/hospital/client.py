"""The one place that talks HTTP to a hospital: a fixed base address, deadlines, limits, and never a redirect.

A redirect would carry the body, and any key in a header of our own, to whatever host the answer names (`requests` drops only
`Authorization`), so none is followed, on reads either. Bodies are never logged, and no cause holds a value of the request.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.exchange import FHIR_JSON, FORM, Call, NoReply, Reply
from fhir_bridge.hospital.sign_in import Anonymous, SignIn, SignInFailed
from fhir_bridge.hospital.watched import CountedBody, Cut, WatchedAdapter, deadline

__all__ = ["Call", "Client", "Deadlines", "NoReply", "Reply"]

_CHUNK = 65_536  # bytes
_MAX_DEPTH = 64  # of a reply: a Bundle of resources with contained resources stays far below
_PATH = re.compile(r"(?![/\\])[A-Za-z0-9._~$/?&=%|:,+@!*;'()-]*")
_WAYS_OUT = re.compile(r"(^|/)\.\.?(/|\?|$)|//|%2e%2e|%2f|%5c", re.IGNORECASE)
_NEVER_CONNECTED = (NewConnectionError, NameResolutionError, ConnectTimeoutError)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds: to connect, to wait for the next byte, and for the whole call."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0


class Client:
    """Calls to the hospital at `base_url`. Safe for several threads: each has its own connections, kept open between calls."""

    def __init__(
        self,
        base_url: str,
        *,
        sign_in: SignIn | None = None,
        session: requests.Session | None = None,
        deadlines: Deadlines = Deadlines(),
        max_reply_bytes: int = 10_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        verify: bool | str = True,
    ) -> None:
        """`verify` may name a file of certificate authorities; certificates are checked always. Raises `Refused` on a bad address."""
        self.base = _base(base_url)
        self._sign_in: SignIn = sign_in or Anonymous()
        self._given = session
        self._deadlines = deadlines
        self._max_reply_bytes = max_reply_bytes
        self._monotonic = monotonic
        self._verify = verify
        self._own = threading.local()

    def send(self, call: Call, *, request_id: str = "") -> Reply | NoReply:
        """Make `call`; `request_id` becomes X-Request-ID. One renewal of the sign-in on 401. Never raises for the network.

        Raises `Refused` for a path that would leave the base address: that is a fault of ours, never of the hospital.
        """
        url = self._url(call.path)
        try:
            reply = self._once(call, url, request_id)
            if isinstance(reply, Reply) and reply.status == 401 and self._sign_in.renew():
                reply = self._once(call, url, request_id)
        except SignInFailed as error:
            return NoReply(sent=False, cause=f"sign-in failed: {error}")
        return reply

    def path_of(self, url: str) -> str | None:
        """`url` (a next link, a Location) as a path under our base; None when scheme, host, port or path are not the base's.

        A relative `url` counts from the base. Equality is of the parsed parts, never of a prefix of the text.
        """
        path = self._below_base(url)
        return path if path is not None and _stays_inside(path) else None

    def _below_base(self, url: str) -> str | None:
        try:
            url = urljoin(self.base + "/", url)
            theirs, ours = urlsplit(url), urlsplit(self.base)
            same = (theirs.scheme, theirs.hostname, _port(url)) == (ours.scheme, ours.hostname, _port(self.base))
        except ValueError:  # a port that is no number, a broken IPv6 address
            return None
        if not same or theirs.username or theirs.password:
            return None
        root = ours.path.rstrip("/")
        if theirs.path.rstrip("/") != root and not theirs.path.startswith(root + "/"):
            return None
        rest = theirs.path[len(root) :].lstrip("/")
        return f"{rest}?{theirs.query}" if theirs.query else rest

    def _url(self, path: str) -> str:
        if not _stays_inside(path):
            raise Refused([Fault("", "a call's path must stay under the hospital's base address; give a path like Patient/12")])
        return f"{self.base}/{path}" if path and not path.startswith("?") else self.base + path

    def _once(self, call: Call, url: str, request_id: str) -> Reply | NoReply:
        content, body = _content(call), None
        headers = {"Accept": FHIR_JSON, **({"X-Request-ID": request_id} if request_id else {})}
        if content is not None:
            body = CountedBody(content)
            headers["Content-Type"] = FORM if call.form else FHIR_JSON
        headers |= dict(call.headers) | self._sign_in.headers()
        started = self._monotonic()
        with deadline(self._deadlines.total) as cut:
            try:
                answer = self._session().request(
                    call.method,
                    url,
                    data=body,
                    headers=headers,
                    timeout=(self._deadlines.connect, self._deadlines.read),
                    allow_redirects=False,
                    stream=True,
                    verify=self._verify,
                )
                with answer:
                    fault_point("O7")
                    return self._read(answer, started, cut)
            except (requests.RequestException, HTTPError, OSError) as error:
                return _no_reply(error, body, cut)

    def _read(self, answer: requests.Response, started: float, cut: Cut) -> Reply | NoReply:
        received = bytearray()
        for chunk in answer.iter_content(_CHUNK):  # decompressed
            received += chunk
            if len(received) > self._max_reply_bytes:
                return NoReply(sent=True, cause=f"the reply is larger than {self._max_reply_bytes} bytes")
            if self._monotonic() - started > self._deadlines.total:
                break
        if cut.struck or self._monotonic() - started > self._deadlines.total:
            return NoReply(sent=True, cause="no whole reply within the deadline")
        content_type = answer.headers.get("Content-Type", "")
        body, size = _json(bytes(received), content_type, self._max_reply_bytes), len(received)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, body, size, content_type)

    def _session(self) -> requests.Session:
        if self._given is not None:
            return self._given
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = new_session()
        return session


def new_session() -> requests.Session:
    """A session that takes nothing from the environment: no proxy, no .netrc, no cookies kept, no retries."""
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    session.headers.update({"User-Agent": "fhir-bridge", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"})
    session.cookies.set_policy(_NoCookies())
    for scheme in ("http://", "https://"):
        session.mount(scheme, WatchedAdapter())
    return session


class _NoCookies(DefaultCookiePolicy):
    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


def _base(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise Refused([Fault("base_url", "must be http(s)://host[:port][/path] without user, query or fragment")])
    return url.rstrip("/")


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)


def _stays_inside(path: str) -> bool:
    route = path.partition("?")[0]
    return _PATH.fullmatch(path) is not None and ":" not in route and not _WAYS_OUT.search(route)


def _content(call: Call) -> bytes | None:
    if call.form:
        return urlencode(call.form).encode()
    return None if call.body is None else documents.dumps(call.body)


def _json(text: bytes, content_type: str, limit: int) -> Any:
    """The JSON document; None when the answer is something else or is broken: the caller sees type and size, and judges."""
    if "json" not in content_type.lower() or not text:
        return None
    try:
        return documents.loads(text, max_bytes=limit, max_depth=_MAX_DEPTH)
    except Refused:
        return None


def _no_reply(error: Exception, body: CountedBody | None, cut: Cut) -> NoReply:
    certificate = _is_caused_by(error, requests.exceptions.SSLError)
    never_connected = isinstance(error, requests.ConnectTimeout) or _is_caused_by(error, *_NEVER_CONNECTED)
    counted = body is not None and cut.connection is not None  # then it is a fact: the network took some of it, or none
    sent = body.started if body is not None and counted else not (never_connected or certificate)
    cause = "no whole reply within the deadline" if cut.struck else _cause(error, certificate, never_connected)
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


def _cause(error: Exception, certificate: bool, never_connected: bool) -> str:
    if certificate:
        return "the TLS connection was refused: check the hospital's certificate and its name"
    if _is_caused_by(error, NameResolutionError):
        return "the hospital's name is not known to the name service"
    if never_connected:
        return "the hospital did not accept the connection"
    if isinstance(error, requests.Timeout) or "timed out" in type(error).__name__.lower():
        return "the hospital went silent before the reply was whole"
    return "the connection broke before the reply was whole"
