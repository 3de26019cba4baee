"""Several threads' writes in one commit: on SQLite a commit waits for the disk three times, whatever it holds.

Whoever comes while another thread of this process commits waits for its turn, and who has the turn takes along all that wait. Alone,
nobody waits for anybody. Each write stands or falls by itself; none is told that it is stored before the commit that holds it.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

MOST = 16  # in one commit; the next ones wait for theirs


class _Write:
    """One thread's write: what it does, and what became of it."""

    __slots__ = ("_error", "_result", "_work", "done")

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self.done = False

    def run(self, tx: Any) -> None:
        self._result = self._work(tx)

    def run_apart(self, tx: Any) -> None:
        """As `run`, but what it raises is its own affair, unless the database gave the whole transaction up."""
        try:
            with tx.part():
                self.run(tx)
        except Exception as error:
            if not tx.driver.in_transaction:
                raise
            self._error = error

    def fail(self, error: BaseException) -> None:
        self._error = error

    def told(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class Together:
    """Runs writes of many threads, each in a transaction that it may share."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Any]]) -> None:
        self._transaction = transaction
        self._turn, self._door = threading.Lock(), threading.Lock()
        self._waiting: list[_Write] = []

    def run(self, work: Callable[[Any], Any]) -> Any:
        """What `work` returns or raises, once it is committed or undone."""
        mine = _Write(work)
        with self._door:
            self._waiting.append(mine)
        with self._turn:
            while not mine.done:
                self._commit()
        return mine.told()

    def _commit(self) -> None:
        taken: list[_Write] = []
        try:
            with self._transaction() as tx:  # it may wait for another process; who comes meanwhile is taken along
                taken = self._take()
                if len(taken) == 1:
                    taken[0].run(tx)
                else:
                    for one in taken:
                        one.run_apart(tx)
        except BaseException as error:
            for one in taken or (taken := self._take()):
                one.fail(error)
        finally:
            for one in taken:
                one.done = True

    def _take(self) -> list[_Write]:
        with self._door:
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        return taken
