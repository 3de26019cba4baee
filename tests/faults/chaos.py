"""`make chaos N=…`: random SIGKILL of web and worker processes under traffic and network faults; prints counts and the bound.

Not a test of the suite, because it takes as long as it is told to. Each round has a fresh hospital and a fresh database: a web
process and three workers run, two clients post and repeat what was not answered, some of what the hospital answers is spoilt. One
of the processes is chosen by chance, and a random moment after it got to work it is killed and started again. Then all is left to
settle, and the ledger is asked. What was killed *at work* is known, not guessed: a worker that held a lane's lease when it died, a
web process whose death left a client without its answer. All clocks go `SPEED` times as fast and agree, so that waits and the leases
of the dead pass in seconds.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import kill
from pathlib import Path

from chaos_book import Book, Round, commit, reasons
from databases import _administer, _cluster
from forks import Clock
from rehearsal import Door, Forks, NoAnswer, Rehearsal, forking, ward
from sqlalchemy import func, select

from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store.database import Store
from fhir_bridge.store.tables import lanes

ROUND = 100  # kills
PATIENCE = (
    10.0  # seconds to wait for a process to get to work: longer than the lease of a dead one that was to try a hospital which was out
)
SPEED, LEASE = 300, 6.0  # seconds, by the machine's clock, that a worker holds a lane: a call of `DEADLINE` fits well within
DEADLINE = 2.0
WORKERS, CLIENTS = 3, 2
AHEAD = 12  # free lanes with work for now that the clients keep
WEB = 0.35  # of the kills
SPREAD = {"web": 0.02, "worker": 0.1}  # seconds: about as long as a process takes over one piece of work
FAULTS = (
    "drop-before",
    "drop-after",
    "error-before",
    "error-after",
    "unavailable",
    "truncated",
    "garbage",
    "html",
    "throttled",
    "conflict",
)


@dataclass
class Clients:
    """Two clients post until told to stop, and repeat what was not answered with the same key until it is."""

    door: Door
    number: int
    wanted: Callable[[], bool]
    in_hand: int = 0
    unanswered: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def posting(self) -> Iterator[None]:
        """They post while the block lasts."""
        threads = [threading.Thread(target=self._post, args=(place,)) for place in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.done.set()
            for thread in threads:
                thread.join()

    def _post(self, place: int) -> None:
        number = place
        while not self.done.is_set():
            if self.wanted():
                patient = number // (2 * CLIENTS) * CLIENTS + place  # two sessions each
                self._until_told(Visit(number, patient=patient, like=self.door.run.hospital.like, run=f"C{self.number}"))
                number += CLIENTS
            time.sleep(0.002)

    def _until_told(self, visit: Visit) -> None:
        while not self.done.is_set():
            self._count(in_hand=1)
            try:
                self.door.post(visit)
                return
            except NoAnswer:
                self._count(unanswered=1)
            finally:
                self._count(in_hand=-1)

    def _count(self, in_hand: int = 0, unanswered: int = 0) -> None:
        with self._lock:
            self.in_hand += in_hand
            self.unanswered += unanswered


@dataclass
class Killing:
    """One database, one hospital, four processes that are killed at random."""

    run: Rehearsal
    door: Door
    store: Store
    chance: random.Random
    number: int
    called: bool
    killed: Counter[str] = field(default_factory=Counter)
    at_work: Counter[str] = field(default_factory=Counter)
    clock: Clock = field(default_factory=lambda: Clock(speed=SPEED))
    _ahead: int = 0
    _web_wanted: bool = False

    def kill(self, count: int) -> None:
        """The clients post from threads of their own; this one kills."""
        clients = Clients(self.door, self.number, lambda: self._web_wanted or self._ahead < AHEAD)
        self.door.serve(**self.order)
        workers = [self._worker() for _ in range(WORKERS)]
        try:
            with clients.posting():
                for _ in range(count):
                    if self.chance.random() < WEB:
                        self._kill_web(clients)
                    else:
                        self._kill_worker(workers)
                    self._spoil()
        finally:
            for pid in workers:
                kill(pid, signal.SIGKILL)
                self.run.forks.end(pid)

    @property
    def order(self) -> dict[str, object]:
        """What every process of the round is told: the same fast clock, and who calls whom."""
        return {"since": self.clock.since.isoformat(), "speed": SPEED, "lease": LEASE * SPEED, "deadline": DEADLINE, "called": self.called}

    def _kill_web(self, clients: Clients) -> None:
        told, self._web_wanted = len(self.run.told), True
        _until(lambda: len(self.run.told) > told and clients.in_hand > 0, PATIENCE)  # it has answered, and is asked again
        time.sleep(self.chance.uniform(0, SPREAD["web"]))
        before = clients.unanswered
        self.door.kill()
        found = _until(lambda: clients.unanswered > before, 0.05)
        self.door.serve(**self.order)
        self._web_wanted = False
        self._count("web", at_work=found)

    def _kill_worker(self, workers: list[int]) -> None:
        """One of those that hold a lane, if any does within the time; it may have given it back when it dies."""
        _until(lambda: self._holders().intersection(workers), PATIENCE)
        pid = self.chance.choice(sorted(self._holders().intersection(workers)) or workers)
        time.sleep(self.chance.uniform(0, SPREAD["worker"]))
        kill(pid, signal.SIGKILL)
        assert self.run.forks.end(pid) == -signal.SIGKILL, "a worker ended by itself"
        self._count("worker", at_work=pid in self._holders())
        workers[workers.index(pid)] = self._worker()

    def _holders(self) -> set[int]:
        """The worker processes that hold a lane; the dead too, as long as nobody has taken theirs over."""
        with self.store.reading() as tx:
            found = tx.rows(select(lanes.c.lease_worker).where(lanes.c.lease_worker.is_not(None)))
            waiting = select(func.count()).where(lanes.c.due_at <= self.clock(), lanes.c.lease_worker.is_(None))
            self._ahead = tx.rows(waiting)[0][0]
        return {int(row[0].rpartition("-")[2]) for row in found}

    def _worker(self) -> int:
        return self.run.forks.start(**self.run.order("work", seed=self.chance.randrange(10**6), **self.order))

    def _count(self, kind: str, *, at_work: bool) -> None:
        self.killed[kind] += 1
        self.at_work[kind] += at_work

    def _spoil(self) -> None:
        if self.chance.random() < 0.2:
            kind = self.chance.choice(FAULTS)
            self.run.hospital.faults.add(Failure(kind=kind, skip=self.chance.randrange(3), times=self.chance.randint(1, 2)))


def _until(met: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (found := met()) and time.monotonic() < end:
        time.sleep(0.01)
    return bool(found)


def play(forks: Forks, database: str, like: str, *, number: int, kills: int, seed: int) -> Round:
    """One round. Where workers can be called (PostgreSQL), they are in every second one."""
    begun, called = time.monotonic(), database.startswith("postgresql") and number % 2 == 1
    with ward(like) as hospital, Door.opened(Rehearsal(database, hospital, forks)) as door:
        store = Store(database, allow_unsafe=True)
        killing = Killing(door.run, door, store, random.Random(seed * 100_000 + number), number, called)
        killing.kill(kills)
        hospital.faults.clear()
        store.close()
        wrong = _settled(door.run, killing)
        ledger = door.run.ledger()
        return Round(
            database=database.partition(":")[0],
            like=like,
            seed=seed,
            number=number,
            called=called,
            killed=dict(killing.killed),
            at_work=dict(killing.at_work),
            accepted=ledger.accepted,
            held=ledger.held,
            stopped=reasons(ledger),
            faults=sum(hospital.faults.spoilt.values()),
            seconds=round(time.monotonic() - begun, 1),
            commit=commit(),
            wrong=wrong or ("" if ledger.exact else str(ledger)),
        )


def _settled(run: Rehearsal, killing: Killing) -> str:
    try:
        run.settle(**{**killing.order, "called": False})
    except AssertionError as error:
        return str(error)
    return ""


@contextmanager
def databases(kind: str) -> Iterator["Fresh"]:
    """Hands out an empty database for each round."""
    folder = Path(tempfile.mkdtemp(prefix="fhir-bridge-chaos-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = stack.enter_context(_cluster(folder)) if kind == "postgresql" else ""
        yield Fresh(folder, cluster)


@dataclass(frozen=True)
class Fresh:
    """Where the databases of the rounds are: a folder of SQLite files, or a PostgreSQL cluster."""

    folder: Path
    cluster: str

    def make(self, number: int) -> str:
        """A fresh database with our tables."""
        if self.cluster:
            _administer(f"{self.cluster}/postgres", f"CREATE DATABASE round_{number}")
        url = f"{self.cluster}/round_{number}" if self.cluster else f"sqlite:///{self.folder}/round-{number}.sqlite"
        store = Store(url, allow_unsafe=True)
        store.upgrade()
        store.close()
        return url


def main() -> int:
    """Plays rounds until the report tells of N killed processes; 0 when every ledger was exact."""
    options = argparse.ArgumentParser()
    options.add_argument("-n", type=int, default=500, help="processes to kill, with those the report has already")
    options.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options.add_argument("--like", choices=["hapi", "epic", "oracle"], default="hapi")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--report", type=Path, help="a file that keeps each round: what is there counts, and the next run goes on")
    told = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no process and no database is left behind
    with tempfile.TemporaryDirectory() as folder, forking() as forks, databases(told.database) as fresh:
        book = Book.opened(told.report or Path(folder) / "chaos.jsonl", told.database, told.like)
        while (left := told.n - book.killed()) > 0:
            number = book.next_number(told.seed)
            book.add(play(forks, fresh.make(number), told.like, number=number, kills=min(ROUND, left), seed=told.seed))
            print(book.rounds[-1], file=sys.stderr, flush=True)
    print(book.words())
    return 1 if any(each.wrong for each in book.rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
