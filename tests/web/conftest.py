"""A real bridge on a fresh SQLite database, its web doors, and a clinic client's key for them."""

import copy
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import CapturingLogger
from web_session import SESSION

from fhir_bridge import bootstrap
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.store import clients
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app


@pytest.fixture
def session() -> dict[str, Any]:
    return copy.deepcopy(SESSION)


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    hospital = Hospital("general", "http://127.0.0.1:9/fhir")  # nobody answers there, and nobody is asked
    return Settings(
        database_url=Secret(sqlite_url),
        hospitals=MappingProxyType({"general": hospital}),
        sites=MappingProxyType({name: Site(name, hospitals=("general",)) for name in ("north", "south")}),
    )


@pytest.fixture
def bridge(settings: Settings) -> Iterator[Bridge]:
    bootstrap.prepare(settings)
    found = bootstrap.bridge(settings)
    yield found
    found.store.close()


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def app(bridge: Bridge, log: CapturingLogger) -> Flask:
    return create_app(bridge, log=log)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Somebody without a key."""
    return app.test_client()


@pytest.fixture
def clinic(app: Flask, bridge: Bridge) -> Callable[..., FlaskClient]:
    """Signs a new client of a site in: `clinic("south")`, `clinic(kind="hospital")`."""

    def sign_in(tenant: str = "north", kind: str = "clinic") -> FlaskClient:
        with bridge.store.transaction() as tx:
            key = clients.add(tx, tenant=tenant, id=f"{tenant}-{kind}", name=f"{tenant} {kind}", kind=kind, now=tx.now)
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return client

    return sign_in


@pytest.fixture
def north(clinic: Callable[..., FlaskClient]) -> FlaskClient:
    """A signed-in client of the site `north`."""
    return clinic()
