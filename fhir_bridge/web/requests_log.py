"""One JSON line a request: which route, what came of it, how long it took. Never a body, a query string, an address with an id in it.

Only the names below are written, so that a value nobody thought of cannot slip in. The request id comes from `X-Request-Id` when it
is a plain word, else it is made here; it goes back in the reply and into every problem.
"""

import re
import sys
import time
import traceback
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from flask import Flask, Response, g, request

ALLOWED = frozenset(
    {
        "event",
        "timestamp",
        "level",
        "request_id",
        "method",
        "route",
        "status",
        "duration_ms",
        "bytes",
        "client",
        "error",
        "where",
        "refused",
    }
)
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def logger() -> structlog.typing.FilteringBoundLogger:
    """A logger to stdout that writes JSON lines and drops what is not `ALLOWED`."""
    return structlog.wrap_logger(  # type: ignore[no-any-return]
        structlog.WriteLogger(sys.stdout),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )


def only_allowed(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`event` without the keys nobody allowed."""
    return {key: value for key, value in event.items() if key in ALLOWED}


def register(app: Flask, log: Any) -> None:
    """Give each request of `app` an id, and a line in `log` when it is answered."""

    @app.before_request
    def begin() -> None:
        asked = request.headers.get("X-Request-Id", "")
        g.request_id = asked if _PLAIN.fullmatch(asked) else uuid.uuid4().hex
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers.setdefault("X-Request-Id", g.request_id)
        log.info("request", **_facts(response))
        return response


def failure(error: Exception) -> dict[str, Any]:
    """What may be told of an unforeseen `error`: its class and the code's own lines, not its text, which may quote a document."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "where": [f"{frame.name}:{frame.lineno}" for frame in frames[-8:]]}


def _facts(response: Response) -> dict[str, Any]:
    return {
        "request_id": g.request_id,
        "method": request.method if request.url_rule else "?",
        "route": request.url_rule.rule if request.url_rule else "none",
        "status": response.status_code,
        "duration_ms": round((time.perf_counter() - g.began) * 1000, 1),
        "bytes": response.calculate_content_length(),
        "client": g.get("client_name"),
        **({"refused": g.refused} if "refused" in g else {}),
    }
