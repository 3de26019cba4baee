"""A whole bridge on SQLite beside the hospital of `ward`; time is the test's."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ward import CASES, Clock, Spoiled, Ward

from fhir_bridge import bootstrap, documents
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hospital() -> Iterator[Ward]:
    chart = Chart()
    spoiled = Spoiled(create_app(load("hapi"), store=chart))
    with running(spoiled) as server:
        yield Ward(server.base_url, chart, spoiled)


@pytest.fixture
def settings(sqlite_url: str, hospital: Ward) -> Settings:
    return Settings(
        database_url=Secret(sqlite_url),
        sites={"default": Site("default", hospitals=("general",))},
        hospitals={"general": Hospital("general", hospital.base_url)},
    )


@pytest.fixture
def bridge(settings: Settings, clock: Clock) -> Iterator[Bridge]:
    bootstrap.prepare(settings)
    store = Store(settings.database_url.reveal(), clock=clock)
    made = bootstrap.bridge(settings)
    made.store.close()
    yield replace(made, store=store, clock=clock)
    store.close()


@pytest.fixture
def session() -> dict[str, Any]:
    """A complete monitored visit, as the clinic posts it."""
    found: dict[str, Any] = documents.loads((CASES / "monitored-clinic-visit" / "session-1.json").read_bytes())
    return found
