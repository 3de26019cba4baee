"""Whose turn it is to write to a SQLite file. It orders, and protects nothing: the database's own lock does that.

Who finds that lock taken sleeps, ever longer, up to a tenth of a second, and looks again; meanwhile nobody writes. Here the next one begins
within a fraction of a millisecond. Whoever waits too long goes on without a turn.
"""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

LOOK_SECONDS = 0.0003


class Turn:
    """The turns of one process at the file `database`; beside it lies `database-turn`, which is empty and may be deleted."""

    def __init__(self, database: str, *, patience: float = 5.0) -> None:
        self._path, self._patience = f"{database}-turn", patience
        self._here = threading.Lock()  # one of our threads looks at the file, the others wait for it

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Ours within, if we got it in time."""
        end = time.monotonic() + self._patience
        first = self._here.acquire(timeout=self._patience)
        try:
            with open(self._path, "ab") as file:
                while not _locked(file) and time.monotonic() < end:
                    time.sleep(LOOK_SECONDS)
                yield
        finally:
            if first:
                self._here.release()


def _locked(file: IO[bytes]) -> bool:
    """The lock goes when the file is closed, however its process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
