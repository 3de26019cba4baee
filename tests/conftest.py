"""What every test shares: nothing is left out in silence, and servers are started once a run."""

import pytest

pytest_plugins = ["nothing_left_out", "server_fixtures", "databases", "receivers", "pytester"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's name is the same in every process, or tests cannot be shared out among several."""
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:
        raise pytest.UsageError(f"these names hold the address of an object; give them ids: {changing}")
