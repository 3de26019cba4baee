"""A clinic that knows only HTTP, and the environment of the bridge's processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from fhir_bridge import documents

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
DEADLINE_SECONDS = 10
LEASE_SECONDS = DEADLINE_SECONDS + 1


@dataclass(frozen=True)
class Clinic:
    """A clinic system with its key, and the environment of the bridge's processes."""

    api: str
    key: str
    environment: dict[str, str]

    def post(self, session: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """POST a session; the answer of a 202."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        reply = requests.post(f"{self.api}/api/v1/sessions", data=documents.dumps(session), headers=headers, timeout=30)
        assert reply.status_code == 202, reply.text
        return dict(reply.json())

    def delivered(self, session: dict[str, Any]) -> dict[str, Any]:
        """The one delivery of the session, once it is delivered."""
        end = time.monotonic() + 4 * LEASE_SECONDS
        while (found := self.delivery(session))["state"] != "delivered":
            going = found["state"] != "dead" and time.monotonic() < end
            assert going, documents.pretty({name: found.get(name) for name in ("state", "reason", "card", "attempts")})
            time.sleep(0.1)
        return found

    def delivery(self, session: dict[str, Any]) -> dict[str, Any]:
        """The one delivery of the session as it stands."""
        headers = {"Authorization": f"Bearer {self.key}"}
        shown = requests.get(f"{self.api}/api/v1/sessions/{session['id']}", headers=headers, timeout=30).json()
        (found,) = shown["deliveries"]
        return dict(found)

    @contextmanager
    def worker(self, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
        """A delivering process, until the end of the block."""
        process = subprocess.Popen([sys.executable, "-m", "fhir_bridge", "worker"], env=self.environment | environment)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_SECONDS * 2)
