"""What every test shares: nothing is left out in silence, and servers are started once a run."""

import pytest

pytest_plugins = ["nothing_left_out", "server_fixtures", "databases", "receivers", "pytester"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's name is the same in every process, or tests cannot be shared out among several; the longest files come first.

    So the last are short ones: nobody works alone at the end (with `--no-loadscope-reorder`; else the files of few tests, some of
    them the longest, would be last).
    """
    items.sort(key=lambda item: item.path.parent.name != "faults")
    changing = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if changing:
        raise pytest.UsageError(f"these names hold the address of an object; give them ids: {changing}")
