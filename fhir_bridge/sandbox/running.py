"""A WSGI app served for a while by a thread, on a loopback port of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


@dataclass(frozen=True, slots=True)
class Running:
    """Where the app answers: `base_url` is `http://127.0.0.1:PORT/fhir`."""

    base_url: str
    port: int


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Addresses may hold what must not be logged."""


@contextmanager
def running(app: Callable[..., Any], *, port: int = 0) -> Iterator[Running]:
    """Serves `app` by threads until the block is left; port 0 takes a free one."""
    server: BaseWSGIServer = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="sandbox", daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.server_port}/fhir", server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
