"""A whole bridge in front of one of the four hospitals in a box, with the site file that would be agreed with it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fhir_bridge import bootstrap, documents
from fhir_bridge.sandbox.profile import Hospital as Twin
from fhir_bridge.sandbox.profile import agreed, load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync import accept, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.worker import Worker

FIXTURES = Path(__file__).parents[2] / "fixtures"
START = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
CLINIC = Client("default", "clinic-1", "The clinic", "clinic", START)
Doc = dict[str, Any]


@dataclass
class Clock:
    """The test's time, the database's and the hospital's."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Rig:
    """The bridge, the chart of the hospital it delivers to, and their common clock."""

    bridge: Bridge
    chart: Chart
    clock: Clock
    url: str

    def deliver(self, session: Doc) -> Doc:
        """Accept the session, deliver what is due, and tell how its one delivery stands."""
        digest = sha256(documents.dumps(session)).hexdigest()
        accept.accept(self.bridge, client=CLINIC, kind="session", document=session, body_sha256=digest)
        self.work()
        return self.state(session)

    def work(self) -> int:
        return Worker(self.bridge, name="test").drain()

    def state(self, session: Doc) -> Doc:
        shown = status.of_record(self.bridge, tenant="default", kind="session", id=session["id"])
        assert shown is not None
        (delivery,) = shown["deliveries"]
        return dict(delivery)

    def held(self) -> Counter[str]:
        """How many resources of each type the hospital holds that it did not hold before us."""
        before = {(one["resourceType"], one["id"]) for one in agreed(self.chart_of).holds}
        return Counter(kind for kind, id in self.chart.versions if (kind, id) not in before)

    def documents(self, kind: str) -> list[Doc]:
        with self.chart.draft() as draft:
            return [version.document for version in draft.every(kind) if version.document]

    chart_of: str = "hapi"


@pytest.fixture
def rig(sqlite_url: str) -> Iterator[Callable[..., Rig]]:
    """Makes a rig of the twin called so; `changed` turns the twin into a slightly different one."""
    with ExitStack() as stack:

        def make(name: str, changed: Callable[[Twin], Twin] = lambda twin: twin) -> Rig:
            clock = Clock()
            chart = Chart(clock=clock)
            chart.hold(agreed(name).holds)
            server = stack.enter_context(running(create_app(changed(load(name)), store=chart)))
            settings = Settings(
                database_url=Secret(sqlite_url),
                sites={"default": Site("default", hospitals=("general",))},
                hospitals={"general": Hospital("general", server.base_url, rules=agreed(name).rules)},
            )
            bootstrap.prepare(settings)
            made = bootstrap.bridge(settings)
            made.store.close()
            store = Store(settings.database_url.reveal(), clock=clock)
            stack.callback(store.close)
            return Rig(replace(made, store=store, clock=clock), chart, clock, server.base_url, chart_of=name)

        yield make


def sessions(case: str) -> list[tuple[str, Doc]]:
    """The sessions of a case in their order; `NAME (inpatient)` takes the variant of the hospital stay."""
    name, _, variant = case.partition(" ")
    end = "-inpatient" if variant else ""
    files = sorted((FIXTURES / "cases" / name).glob(f"session-?{end}.json"))
    return [(file.stem, json.loads(file.read_text())) for file in files]


@pytest.fixture
def visit() -> Doc:
    """The complete monitored visit."""
    return sessions("monitored-clinic-visit")[0][1]
