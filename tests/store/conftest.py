"""A store whose clock the test moves."""

from collections.abc import Iterator

import pytest
from store_rows import Clock

from fhir_bridge.store.database import Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(database_url: str, clock: Clock) -> Iterator[Store]:
    """A store on a fresh database, SQLite and again PostgreSQL, at `clock`'s time."""
    store = Store(database_url, allow_unsafe=True, clock=clock)
    yield store
    store.close()
