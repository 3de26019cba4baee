"""The one place that talks HTTP to a hospital: a fixed base address, deadlines, limits, and never a redirect.

Bodies are never logged, and no cause holds a value of the request.
"""

import re
import threading
import time
from collections.abc import Callable
from urllib.parse import urlencode, urljoin, urlsplit

import requests

from fhir_bridge import documents
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.hospital.exchange import FHIR_JSON, FORM, Call, NoReply, Reply
from fhir_bridge.hospital.sign_in import Anonymous, SignIn, SignInFailed
from fhir_bridge.hospital.transfer import Deadlines, Transfer, new_session

__all__ = ["Call", "Client", "Deadlines", "NoReply", "Reply"]

_PATH = re.compile(r"(?![/\\])[A-Za-z0-9._~$/?&=%|:,+@!*;'()-]*")
_WAYS_OUT = re.compile(r"(^|/)\.\.?(/|\?|$)|//|%2e%2e|%2f|%5c", re.IGNORECASE)


class Client:
    """Calls to the hospital at `base_url`. Safe for several threads: each has its own connections, kept open between calls."""

    def __init__(
        self,
        base_url: str,
        *,
        sign_in: SignIn | None = None,
        session: requests.Session | None = None,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 - a frozen value
        max_reply_bytes: int = 10_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        verify: bool | str = True,
    ) -> None:
        """`verify` may name a file of certificate authorities; certificates are checked always. Raises `Refused` on a bad address."""
        self.base = _base(base_url)
        self._sign_in: SignIn = sign_in or Anonymous()
        self._given = session
        self._transfer = Transfer(deadlines, max_reply_bytes, monotonic, verify)
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
        content = _content(call)
        headers = {"Accept": FHIR_JSON, **({"X-Request-ID": request_id} if request_id else {})}
        if content is not None:
            headers["Content-Type"] = FORM if call.form else FHIR_JSON
        headers |= dict(call.headers) | self._sign_in.headers()
        return self._transfer.make(self._session(), call.method, url, content=content, headers=headers)

    def _session(self) -> requests.Session:
        if self._given is not None:
            return self._given
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = new_session()
        return session


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
