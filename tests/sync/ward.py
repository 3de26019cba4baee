"""A hospital in a box whose answers a test may spoil, the test's own time, and what is asked of a bridge. Nothing is mocked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from fhir_bridge import documents
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.worker import Worker

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
START = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
CLINIC = Client("default", "clinic-1", "The clinic", "clinic", START)
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Clock:
    """The test's time, also the database's: `now` moves when the test says so."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Spoiled:
    """The hospital's app with a spoiled answer for the next calls of a method: the call is carried out, the answer is not it."""

    app: Wsgi
    answers: list[tuple[str, int]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    deaf_to_prefer: bool = False
    words: str = ""

    def after(self, method: str, good: int, code: int) -> None:
        """Spoil the call after the next `good` ones of `method`."""
        self.answers += [(method, 0)] * good + [(method, code)]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.calls.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.deaf_to_prefer:
            environ.pop("HTTP_PREFER", None)
        if not self.answers or self.answers[0][0] != environ["REQUEST_METHOD"]:
            return self.app(environ, start_response)
        _, code = self.answers.pop(0)
        if not code:
            return self.app(environ, start_response)
        if code != 503:  # 503 comes from before the hospital's door
            list(self.app(environ, lambda *_: None))
        issue = {"severity": "error", "code": "exception", "diagnostics": self.words}
        body = documents.dumps({"resourceType": "OperationOutcome", "issue": [issue]}) if self.words else b""
        kind = "application/fhir+json" if body else "text/plain"
        start_response(f"{code} Spoiled", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]


@dataclass
class Ward:
    """The hospital in a box, what it holds, and its address."""

    base_url: str
    chart: Chart
    spoiled: Spoiled

    def held(self, kind: str) -> list[dict[str, Any]]:
        """Every resource of `kind` the hospital holds."""
        with self.chart.draft() as draft:
            return [version.document for version in draft.every(kind) if version.document]

    def versions(self, kind: str) -> list[int]:
        """How often each resource of `kind` was written."""
        with self.chart.draft() as draft:
            return sorted(version.number for version in draft.every(kind))


def post(bridge: Bridge, session: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
    """What the clinic's door does with a session."""
    digest = sha256(documents.dumps(session)).hexdigest()
    return accept.accept(bridge, client=CLINIC, kind="session", document=session, body_sha256=digest, key=key)


def work(bridge: Bridge) -> int:
    """Everything that is due now."""
    return Worker(bridge, name="test").drain()


def state(bridge: Bridge, session: dict[str, Any]) -> dict[str, Any]:
    """The one delivery of the session, as the clinic is told of it."""
    shown = status.of_record(bridge, tenant="default", kind="session", id=session["id"])
    assert shown is not None
    (delivery,) = shown["deliveries"]
    return dict(delivery)
