"""One suite, several servers: what the sandbox claims, HAPI does.

`FHIR_BRIDGE_TEST_SERVER=https://…/fhir` adds a server of yours (a public one, a hospital's test system): everything written to
it carries a tag, and is deleted at the end.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fhir_api import Api
from remote import borrowed

from fhir_bridge.sandbox import profile
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store
from fhir_bridge.sandbox.subscriptions import notifying

REMOTE = os.environ.get("FHIR_BRIDGE_TEST_SERVER", "")


@dataclass(frozen=True)
class Server:
    """Where it answers, and which it is: `sandbox`, `hapi` or `remote`."""

    base_url: str
    name: str


@pytest.fixture(scope="session", params=["sandbox", "hapi", *(["remote"] if REMOTE else [])])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A FHIR server the whole suite runs against; it may hold what other tests wrote, so use fresh identifiers."""
    name = request.param
    yield Server(request.getfixturevalue("hapi" if name == "hapi" else f"_{name}"), name)


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[str]:
    store = Store()
    with running(create_app(profile.load("hapi"), store=store)) as found, notifying(store):
        yield found.base_url


@pytest.fixture(scope="session")
def _remote() -> Iterator[str]:
    with borrowed(REMOTE.rstrip("/"), run=str(uuid.uuid4())) as base_url:
        yield base_url


@pytest.fixture
def api(server: Server) -> Api:
    return Api(server.base_url)


@pytest.fixture
def key() -> str:
    """A business key nobody used before; also a good client id."""
    return f"ia-{uuid.uuid4()}"
