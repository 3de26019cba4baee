"""How gunicorn serves the bridge: threads, a long goodbye, no control socket, no log of addresses."""

from pathlib import Path
from typing import Any

GRACEFUL_SECONDS = 75  # longer than the longest request; give the supervisor 90
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # gunicorn's heartbeat files; on a slow disk they would stall the workers


def options(*, host: str, port: int, workers: int) -> dict[str, Any]:
    """gunicorn's settings. Each worker builds its own application after the fork, so that no database connection is shared."""
    return {
        "bind": f"{host}:{port}",
        "workers": workers,
        "worker_class": "gthread",
        "threads": 8,
        "graceful_timeout": GRACEFUL_SECONDS,
        "timeout": GRACEFUL_SECONDS,
        "max_requests": 0,  # a worker that ends by count can cut a connection off; ours do not leak
        "control_socket_disable": True,  # its default place, the home folder, is read-only in a container
        "accesslog": None,  # gunicorn's own would write query strings; ours is web/requests_log.py
        "worker_tmp_dir": str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
    }
