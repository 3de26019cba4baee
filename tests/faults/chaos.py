"""`make chaos N=…`: random SIGKILL of web and worker processes under traffic and network faults; prints counts and the bound.

Not a test of the suite, because it takes as long as it is told to. Each round has a fresh hospital and a fresh database: a web
process and two workers run, a client posts and repeats what was not answered, some of what the hospital answers is spoilt. Once a
process got on, and a random moment later, it is killed and started again. Then all is left to settle, and the ledger is asked.
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
from collections.abc import Iterator, Sized
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from os import kill
from pathlib import Path

from databases import _administer, _cluster
from rehearsal import Door, Forks, NoAnswer, Rehearsal, forking, ward

from fhir_bridge.sandbox.faults import Failure
from fhir_bridge.sandbox.ledger import Ledger
from fhir_bridge.sandbox.traffic import Visit
from fhir_bridge.store.database import Store

ROUND = 25  # kills
PATIENCE = 3.0  # seconds
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
class Round:
    """One database, one hospital, three processes that are killed at random until `kills` are reached."""

    run: Rehearsal
    door: Door
    chance: random.Random
    number: int
    kills: Counter[str] = field(default_factory=Counter)
    done: threading.Event = field(default_factory=threading.Event)

    def kill(self, count: int) -> None:
        """The client posts from a thread of its own; this one kills."""
        client = threading.Thread(target=self._post)
        workers = [self._worker() for _ in range(2)]
        self.door.serve()
        client.start()
        for _ in range(count):
            web = self.chance.random() < 0.35
            self._until_moved(self.run.told if web else self.run.hospital.chart.log)
            time.sleep(self.chance.uniform(0.0, 0.15))
            if web:
                self.door.kill()
                self.door.serve()
                self.kills["web"] += 1
            else:
                place = self.chance.randrange(2)
                kill(workers[place], signal.SIGKILL)
                assert self.run.forks.end(workers[place]) == -signal.SIGKILL, "a worker ended by itself"
                workers[place] = self._worker()
                self.kills["worker"] += 1
            self._spoil()
        self.done.set()
        client.join()
        for pid in workers:
            kill(pid, signal.SIGKILL)
            self.run.forks.end(pid)

    def _until_moved(self, done: Sized) -> None:
        """A kill before anything happened would prove nothing: waits until the one to be killed got on (counted when it did not)."""
        before, end = len(done), time.monotonic() + PATIENCE
        while len(done) == before:
            if time.monotonic() > end:
                self.kills["idle"] += 1
                return
            time.sleep(0.005)

    def _worker(self) -> int:
        self.run.shift += 400  # the killed one's lease is over
        return self.run.forks.start(**self.run.order("work", seed=self.chance.randrange(10**6), deadline=2.0))

    def _spoil(self) -> None:
        if self.chance.random() < 0.2:
            kind = self.chance.choice(FAULTS)
            self.run.hospital.faults.add(Failure(kind=kind, skip=self.chance.randrange(3), times=self.chance.randint(1, 2)))

    def _post(self) -> None:
        """Posts until the killing is over; what was not answered is repeated with the same key until it is."""
        number = 0
        while not self.done.is_set():
            self._until_told(Visit(number, patient=number // 2, like=self.run.hospital.like, run=f"C{self.number}"))
            number += 1

    def _until_told(self, visit: Visit) -> None:
        while True:
            with suppress(NoAnswer):
                self.door.post(visit)
                return
            time.sleep(0.01)


def play(forks: Forks, database: str, like: str, *, number: int, kills: int, seed: int) -> tuple[Counter[str], Ledger, Counter[str]]:
    """One round; returns the kills by process, the ledger, and the faults that met a call."""
    with ward(like) as hospital, Door.opened(Rehearsal(database, hospital, forks)) as door:
        playing = Round(door.run, door, random.Random(seed * 100_000 + number), number)
        playing.kill(kills)
        hospital.faults.clear()
        door.run.settle()
        return playing.kills, door.run.ledger(), Counter(hospital.faults.spoilt)


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
    """Plays rounds until N processes were killed; 0 when every ledger was exact."""
    options = argparse.ArgumentParser()
    options.add_argument("-n", type=int, default=500, help="processes to kill")
    options.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options.add_argument("--like", choices=["hapi", "epic", "oracle"], default="hapi")
    options.add_argument("--seed", type=int, default=1)
    told = options.parse_args()
    kills, sums, faults, wrong = Counter[str](), Counter[str](), Counter[str](), []
    begun = time.monotonic()
    with forking() as forks, databases(told.database) as fresh:
        for number in range(-(-told.n // ROUND)):
            left = min(ROUND, told.n - _killed(kills))
            killed, ledger, met = play(forks, fresh.make(number), told.like, number=number, kills=left, seed=told.seed)
            kills, faults = kills + killed, faults + met
            sums += Counter(accepted=ledger.accepted, held=ledger.held, stopped=len(ledger.stopped))
            wrong += [f"round {number}: {ledger}"] if not ledger.exact else []
            print(
                f"round {number}: {_killed(kills)} killed, {ledger.accepted} accepted, {'exact' if ledger.exact else 'WRONG'}",
                file=sys.stderr,
            )
    _print(told, kills, sums, faults, wrong, time.monotonic() - begun)
    return 1 if wrong else 0


def _killed(kills: Counter[str]) -> int:
    return kills["web"] + kills["worker"]


def _print(
    told: argparse.Namespace, kills: Counter[str], sums: Counter[str], faults: Counter[str], wrong: list[str], seconds: float
) -> None:
    killed = f"{kills['web']} web and {kills['worker']} workers killed, {kills['idle']} of them idle"
    print(f"{told.database}, like {told.like}, seed {told.seed}: {killed}, in {seconds:.0f} s")
    print(f"accepted {sums['accepted']}, held {sums['held']}, stopped for a person {sums['stopped']}, faults met {faults.total()}")
    if wrong:
        print(*wrong, sep="\n")
    else:
        # the rule of three: none in n trials bounds the rate below 3/n with 95 % confidence
        print(f"lost 0, duplicated 0: below {300 / (_killed(kills) - kills['idle']):.2g} % of kills at 95 % confidence (rule of three)")


if __name__ == "__main__":
    sys.exit(main())
