"""Trouble below HTTP: a relay in front of a hospital, whose connections fail as they do in a network.

Each request comes over a connection of its own (`Connection: close`), so that trouble can begin between two requests: from the
request `fail` names until `heal`, every connection meets it. Requests and answers pass through as they are, and as they come.
"""

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse

from fhir_bridge.errors import Fault, Refused

PAUSE = 0.05  # seconds between the bytes of an answer that trickles
_POLL = 0.05
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: closing sends RST


@dataclass
class Relay:
    """`port` is where it answers; `seen` the requests that came through or were to fail, as (method, path).

    `tls` gives the context of a connection that is to be encrypted, by the kind of trouble there is ("" for none).
    """

    upstream: int
    tls: Callable[[str], ssl.SSLContext] | None = None
    port: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    trouble: str = ""
    met: int = 0  # how many met this trouble, or the last one
    changed: Callable[[str], None] = lambda trouble: None  # is told the trouble that begins, and "" when it is over
    _next: tuple[str, int] = ("", 0)
    _listener: socket.socket | None = None
    _fillers: list[socket.socket] = field(default_factory=list)
    _closed: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _underway: set[socket.socket] = field(default_factory=set)  # connections whose request the hospital may still carry out

    @property
    def busy(self) -> bool:
        """Whether the hospital may still do something that was asked of it."""
        return bool(self._underway)

    @property
    def base_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}/fhir"

    def fail(self, kind: str, *, at: int = 1) -> None:
        """From the `at`-th request on (1: the next), trouble of this kind. Raises `Refused` for a kind that is not known."""
        if kind not in KINDS:
            raise Refused([Fault("kind", f"is not one of {', '.join(KINDS)}")])
        with self._lock:
            self._next = (kind, len(self.seen) + at)
            self._begin_if_due()

    def heal(self) -> None:
        """From now on everything passes."""
        with self._lock:
            self._next, self.trouble = ("", 0), ""
            self._listen()
        self.changed("")

    def looked_for(self) -> None:
        """A caller asks the name service for us: it is the last that is heard of one whom nobody answers."""
        if self.trouble in _DEAF:
            self.met += 1
        if self.trouble == "unresolved":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def serve(self) -> None:
        """Takes connections until closed; each is served by a thread."""
        while not self._closed:
            listener = self._listener
            if listener is None or self.trouble in ("refused", "connect-hang"):
                time.sleep(_POLL)
                continue
            with suppress(OSError, ValueError):  # it was closed meanwhile: that is one of the troubles
                if select.select([listener], [], [], _POLL)[0]:
                    peer, _ = listener.accept()
                    self._underway.add(peer)
                    threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._stop_listening()

    def _begin_if_due(self) -> None:
        kind, at = self._next
        if kind and len(self.seen) + 1 >= at:
            self._next, self.trouble, self.met = ("", 0), kind, 0
            if kind == "refused":
                self._stop_listening()
            elif kind == "connect-hang":
                self._listen(backlog=0)
                self._fill()
            self.changed(kind)

    def _listen(self, backlog: int = 64) -> None:
        self._stop_listening()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=backlog)
        self.port = self._listener.getsockname()[1]

    def _stop_listening(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # at once, though another thread still waits on it
            self._listener.close()
            self._listener = None

    def _fill(self) -> None:
        """Connections that nobody accepts, until there is no room for another: the next one waits for an answer for ever."""
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def _talk(self, peer: socket.socket) -> None:
        try:
            with suppress(OSError, HTTPException, ValueError), peer:
                trouble = self.trouble
                self.met += bool(trouble)
                if trouble == "reset-before":
                    if self.tls:
                        peer.recv(1)  # of its hello, before any of the request
                    _reset(peer)
                else:
                    with self.tls(trouble).wrap_socket(peer, server_side=True) if self.tls else peer as stream:
                        self._exchange(peer, stream, trouble)
        finally:
            self._underway.discard(peer)

    def _exchange(self, peer: socket.socket, stream: socket.socket, trouble: str) -> None:
        request = _Request.read(stream, half=trouble == "reset-mid")
        if trouble == "swallowed":
            self._underway.discard(peer)
            self._keep(stream)
        elif trouble != "reset-mid":
            with self._asked(request) as answer:
                self._underway.discard(peer)
                if trouble != "reset-after":
                    self._answer(stream, answer, trouble)
                    return
        _reset(stream)

    @contextmanager
    def _asked(self, request: "_Request") -> Iterator[HTTPResponse]:
        """The hospital's answer, which begins when it has done what was asked. Raises `OSError`, `HTTPException`."""
        connection = HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            answer = connection.getresponse()
            with self._lock:
                self.seen.append((request.method, request.path))
                self._begin_if_due()
            yield answer
        finally:
            connection.close()

    def _answer(self, stream: socket.socket, answer: HTTPResponse, trouble: str) -> None:
        send = partial(_trickle, stream) if trouble == "trickle" else stream.sendall
        send(_head(answer, close=trouble != "slow-close"))
        while piece := answer.read1(65536):
            send(piece)
        if trouble == "slow-close":
            self._keep(stream)

    def _keep(self, stream: socket.socket) -> None:
        """The connection stays, and nobody is there, until all is well again."""
        while self.trouble and not self._closed:
            time.sleep(_POLL)


# kind → what a client meets
KINDS = {
    "refused": "nobody listens",
    "unresolved": "the name service does not know the name (the resolver's part, not the relay's)",
    "connect-hang": "the connection is never answered",
    "tls-expired": "the certificate's time is over",
    "tls-wrong-host": "the certificate is another host's",
    "reset-before": "the connection is reset as soon as it is there",
    "reset-mid": "it is reset when half of the request has come",
    "reset-after": "it is reset when the hospital has done what was asked",
    "swallowed": "the request is taken and nothing happens: a connection open on one side only",
    "trickle": "the answer comes byte by byte",
    "slow-close": "after the answer the connection stays, and nobody is there",
}
_DEAF = frozenset({"refused", "connect-hang", "unresolved"})  # no connection of theirs is seen here


@dataclass(frozen=True)
class _Request:
    """One HTTP request as it came."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, stream: socket.socket, *, half: bool = False) -> "_Request":
        """The next request; of `half` of it the body is what had come with the head."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(stream)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        while len(body) < (length // 2 if half else length):
            body += _more(stream)
        return cls(method, path, headers, body)


def _head(answer: HTTPResponse, *, close: bool) -> bytes:
    """The answer's head; what it says of the connection is ours to say, and a body that came in chunks leaves without."""
    own = ("connection", "transfer-encoding", "keep-alive")
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{n}: {v}" for n, v in answer.getheaders() if n.lower() not in own)]
    return "\r\n".join([*lines, f"Connection: {'close' if close else 'keep-alive'}"]).encode("latin-1") + b"\r\n\r\n"


def _more(stream: socket.socket) -> bytes:
    if not (piece := stream.recv(65536)):
        raise ConnectionResetError("the client has left")
    return piece


def _trickle(stream: socket.socket, piece: bytes) -> None:
    for byte in piece:
        stream.sendall(bytes([byte]))
        time.sleep(PAUSE)


def _reset(stream: socket.socket) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    stream.close()


@contextmanager
def relaying(upstream: int, *, tls: Callable[[str], ssl.SSLContext] | None = None) -> Iterator[Relay]:
    """A relay to the hospital at loopback port `upstream`, on a port of its own."""
    relay = Relay(upstream, tls)
    relay.heal()
    thread = threading.Thread(target=relay.serve, name="relay", daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join()
