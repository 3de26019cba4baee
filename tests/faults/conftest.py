"""What every rehearsal of a failure shares: the process that forks others, started once a test process."""

from collections.abc import Iterator

import pytest
from rehearsal import Forks, forking


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The process that forks."""
    with forking() as forks:
        yield forks
