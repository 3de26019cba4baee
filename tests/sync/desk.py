"""A sender's own system: an HTTP endpoint that takes FHIR messages as NHS BaRS says receivers do, and can fail as networks do.

A message whose X-Request-ID and X-Correlation-ID were seen is 409 with the issue `duplicate`; another gets a response message.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: it takes messages, and no resource by itself
STATEMENT = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}]}


@dataclass
class Desk:
    """What was taken (each once), how often it was called, and what the next answers are to be: `lost`, `page`, `fatal`, a status."""

    url: str = ""
    taken: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=lambda: {"/metadata": STATEMENT})
    next: list[Any] = field(default_factory=list)

    def told(self) -> list[tuple[str, str, str]]:
        """Task.status, businessStatus and version of each message, in the order in which they came."""
        return [self._task(message) for message in self.taken.values()]

    def _task(self, message: dict[str, Any]) -> tuple[str, str, str]:
        [task] = [one["resource"] for one in message["entry"] if one["resource"]["resourceType"] == "Task"]
        version = next((str(one["valuePositiveInt"]) for one in task.get("extension", []) if one["url"].endswith("record-version")), "1")
        return task["status"], task.get("businessStatus", {}).get("coding", [{}])[0].get("code", ""), version


@contextmanager
def desk() -> Iterator[Desk]:
    """A desk on a free port of this machine."""
    here = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            here.calls.append(self.path)
            answer = here.next.pop(0) if here.next else None
            if isinstance(answer, int):
                return self._say(answer, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "transient"}]})
            key = (self.headers["X-Request-ID"], self.headers["X-Correlation-ID"])
            known = key in here.taken
            here.taken.setdefault(key, body)
            if answer == "lost":
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            if answer == "page":
                return self._say(200, {"hello": "this is a proxy"})
            if known:
                return self._say(409, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "duplicate"}]})
            return self._say(200, _response(body, "fatal-error" if answer == "fatal" else "ok"))

        def do_GET(self) -> None:
            here.calls.append(self.path)
            answer = here.next.pop(0) if here.next else None
            found = here.documents.get(self.path)
            self._say(
                answer if isinstance(answer, int) else 200 if found else 404, found or {"resourceType": "OperationOutcome", "issue": []}
            )

        def _say(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def _response(message: dict[str, Any], code: str) -> dict[str, Any]:
    header = message["entry"][0]["resource"]
    answer = {
        "resourceType": "MessageHeader",
        "eventCoding": header.get("eventCoding", {"code": "any"}),
        "source": {"endpoint": "http://desk.example"},
        "response": {"identifier": header["id"], "code": code},
    }
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "business-rule", "diagnostics": "Not our patient."}],
    }
    entries = [{"resource": answer}, *([{"resource": outcome}] if code == "fatal-error" else [])]
    return {"resourceType": "Bundle", "type": "message", "entry": entries}
