"""HTTP connections that can be cut at a deadline.

`requests` waits `timeout` seconds for each byte, not for the answer: a server dripping one byte every few seconds holds a call
for ever. A timer closes the socket of the call instead; the blocked read then ends at once.
"""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer, local
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from fhir_bridge.faults import fault_point

_now = local()


class Cut:
    """The deadline of one call: whether it has struck, and which connection it cuts."""

    def __init__(self) -> None:
        self.struck = False
        self.connection: HTTPConnection | None = None
        self.socket: socket.socket | None = None  # kept here: the connection forgets it when an answer says "Connection: close"

    def strike(self) -> None:
        """Close the socket under whoever reads from it (the raw one, also below TLS)."""
        self.struck = True
        if self.socket is not None:
            try:
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
            except OSError:
                return  # it was closed already


@contextmanager
def deadline(seconds: float) -> Iterator[Cut]:
    """Cut the connection this thread uses inside the block after `seconds`."""
    cut = _now.cut = Cut()
    timer = Timer(max(seconds, 0.001), cut.strike)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
        _now.cut = None


class CountedBody(io.BytesIO):
    """A request body that knows whether any of it was handed to the network. Before that no server can have acted on it."""

    started = False

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, and from now on the body has started."""
        if self.started and self.tell() < len(self.getbuffer()):
            fault_point("O5")
        self.started = True
        if not (piece := super().read(size)):
            fault_point("O6")
        return piece


def _remember(connection: HTTPConnection) -> None:
    if (cut := getattr(_now, "cut", None)) is not None:
        cut.connection = connection
        cut.socket = connection.sock or cut.socket


class _Http(HTTPConnection):
    def connect(self) -> None:
        _remember(self)
        super().connect()
        _remember(self)

    def request(self, *args: Any, **options: Any) -> None:
        _remember(self)
        super().request(*args, **options)


class _Https(HTTPSConnection):
    def connect(self) -> None:
        _remember(self)
        super().connect()
        _remember(self)

    def request(self, *args: Any, **options: Any) -> None:
        _remember(self)
        super().request(*args, **options)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class WatchedAdapter(HTTPAdapter):
    """Connections that `deadline` can cut; never retries by itself, because only the delivery knows what a repeat means."""

    def __init__(self) -> None:
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=2)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As `requests` does, with our connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
