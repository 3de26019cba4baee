"""A sync every minute for five minutes beside a posting clinic, with real processes and the real time: `make scheduled`.

`fhir-bridge serve`, two times `fhir-bridge scheduler` and a hospital in a box run as anybody runs them. Ends with 0 when each minute
was answered by one run, none overlapped another, and everything the clinic was told 202 for is at the hospital once.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import databases
from rehearsal import Ward, ward
from schedule_book import faults

from fhir_bridge import documents
from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.ledger import Ledger, balance
from fhir_bridge.sandbox.traffic import PARTS, Visit
from fhir_bridge.store import schedule_runs
from fhir_bridge.store.database import Store

CRON = "* * * * *"
NAME = "minutely"
POST_SECONDS = 2.0
DRAIN_SECONDS = 150


@dataclass(frozen=True)
class Bridge:
    """The environment of every process, and where the doors are."""

    environment: dict[str, str]
    port: int

    def call(self, *words: str) -> str:
        """What the command prints."""
        done = subprocess.run(self._ourselves(words), env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"fhir-bridge {' '.join(words)}: {done.stderr}")
        return done.stdout

    @contextmanager
    def process(self, *words: str) -> Iterator[None]:
        running = subprocess.Popen(self._ourselves(words), env=self.environment, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            running.terminate()
            assert running.wait(90) == 0, words

    def post(self, visit: Visit, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Idempotency-Key": visit.id}
        address = f"http://127.0.0.1:{self.port}/api/v1/sessions"
        request = urllib.request.Request(address, documents.dumps(visit.document()), headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert answer.status == 202

    def _ourselves(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "fhir_bridge", *words]


def bridge_at(folder: Path, database: str, hospital: Ward) -> Bridge:
    config = folder / "sites.toml"
    config.write_text(f'[hospitals.general]\nbase_url = "{hospital.base_url}"\n', encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = {"DATABASE_URL": database, "CONFIG": str(config), "PORT": str(port), "WEB_WORKERS": "1", "AUDIT_KEY": "rehearsed" * 4}
    own = {f"FHIR_BRIDGE_{name}": value for name, value in settings.items()}
    return Bridge({name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")} | own, port)


def posted(bridge: Bridge, key: str, minutes: int) -> list[Visit]:
    """A clinic posts every two seconds for so long; each visit was answered 202."""
    end, visits = time.monotonic() + 60 * minutes, list[Visit]()
    while time.monotonic() < end:
        visit = Visit(len(visits), patient=len(visits) // 3)
        bridge.post(visit, key)
        visits.append(visit)
        time.sleep(POST_SECONDS)
    return visits


def waited_for(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not answer")


def rehearsed(folder: Path, database: str, minutes: int) -> int:
    with ExitStack() as stack:
        hospital = stack.enter_context(ward("hapi"))
        bridge = bridge_at(folder, database, hospital)
        bridge.call("db", "upgrade")
        key = json.loads(bridge.call("clients", "add", "clinic-1", "--json"))["key"]
        added = json.loads(bridge.call("schedule", "add", NAME, "--what", "both", "--cron", CRON, "--json"))
        for words in (("serve",), ("scheduler",), ("scheduler",)):
            stack.enter_context(bridge.process(*words))
        waited_for(f"http://127.0.0.1:{bridge.port}/readyz")
        visits = posted(bridge, key, minutes)
        end = time.monotonic() + DRAIN_SECONDS
        while not (ledger := held(hospital, visits)).exact and time.monotonic() < end:
            time.sleep(1)
    print(f"ledger: {ledger}")
    return judged(database, datetime.fromisoformat(added["next"]), minutes) + (not ledger.exact)


def held(hospital: Ward, visits: list[Visit]) -> Ledger:
    """What the clinic was told 202 for against what the hospital holds."""
    return balance([visit.told() for visit in visits], hospital.chart.log, parts=PARTS["hapi"], stopped={})


def judged(database: str, first: datetime, minutes: int) -> int:
    store = Store(database, allow_unsafe=True)
    with store.reading() as tx:
        runs = schedule_runs.history(tx, "default", schedule=NAME, limit=1000)
    store.close()
    for run in reversed(runs):
        took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else float("nan")
        print(f"{run.number:3} due {run.due_at:%H:%M:%S} began {run.started_at:%H:%M:%S.%f} took {took:6.2f} s {run.outcome} {run.worker}")
    wrong = faults(runs, cron=CRON, zone=UTC, begun=first - timedelta(seconds=1), now=utc_now())
    print("\n".join(wrong) or f"{len(runs)} runs, no overlap, no gap")
    return len(wrong) + (sum(1 + run.missed for run in runs) < minutes)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=int, default=5)
    asked.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhir-bridge-scheduled-") as name:
        folder = Path(name)
        if given.database == "sqlite":
            return rehearsed(folder, f"sqlite:///{folder / 'bridge.sqlite'}", given.minutes)
        databases.SETTINGS.update(dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "on"))  # or no process would start
        folder.chmod(0o711)
        (folder / "postgresql").mkdir()
        with databases._cluster(folder / "postgresql") as address:
            return rehearsed(folder, f"{address}/postgres", given.minutes)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
