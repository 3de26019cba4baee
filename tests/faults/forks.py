"""A process that has imported everything and forks one child for each rehearsal: a real process to kill, without a second's start.

Reads commands from standard input, a JSON object a line, and answers each with one: `{"do": one of TASKS, …}`
starts a child (`{"pid": …}`), `{"wait": pid}` waits for its end (`{"code": …}`, negative for a signal).
A child's clock is the machine's, so many seconds (`shift`) later: leases run out and waits are over at once.
"""

import gc
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from fhir_bridge import bootstrap, faults
from fhir_bridge.clock import utc_now
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.backend_services import BackendServices
from fhir_bridge.hospital.capabilities import SiteFile
from fhir_bridge.hospital.client import Client, Deadlines
from fhir_bridge.hospital.sign_in import SignIn
from fhir_bridge.sandbox.traffic import PARTS, Visit
from fhir_bridge.settings import Settings
from fhir_bridge.store import dead_letters
from fhir_bridge.store.database import Store
from fhir_bridge.store.dispatch import Dispatch
from fhir_bridge.sync import status
from fhir_bridge.sync.bridge import Bridge, Hospital, Site
from fhir_bridge.sync.clients import registry
from fhir_bridge.sync.clients.registry import Wanted
from fhir_bridge.sync.convert import map_back, map_record
from fhir_bridge.sync.delivery import stopped
from fhir_bridge.sync.pull import pull
from fhir_bridge.sync.schedules import service
from fhir_bridge.sync.schedules.service import Scheduler
from fhir_bridge.sync.worker import Worker
from fhir_bridge.web.app import create_app

ASKED_TO_STOP = threading.Event()
ROUNDS = 60  # of an hour each: what is not settled by then never will be


@dataclass
class Clock:
    """The machine's time, `shift` seconds later; since `since` it has gone `speed` times as fast."""

    shift: float = 0
    speed: float = 1
    since: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.since + (utc_now() - self.since) * self.speed + timedelta(seconds=self.shift)


def bridge_of(order: dict[str, Any], site: Site, clock: Clock) -> Bridge:
    """The application as the order describes it: its database, its hospital, its patience."""
    deadline = order.get("deadline", 5.0)
    way: dict[str, Any] = {"deadlines": Deadlines(deadline, deadline, deadline), "verify": order.get("ca", True)}
    client = Client(order["hospital"], sign_in=_sign_in(order, clock, way), **way)
    return Bridge(
        store=Store(order["database"], allow_unsafe=True, clock=clock),
        sites={"default": replace(site, hospitals=("general",))},
        hospitals={"general": Hospital("general", client, site_file=SiteFile(**order.get("rules", {})))},
        clock=clock,
        rng=random.Random(order.get("seed", 0)),
        new_id=lambda: str(uuid.uuid4()),
        audit_key=b"rehearsed" * 4,
        lease_seconds=order.get("lease", 180),
        deadline_seconds=order.get("lease", 180) * 0.6,  # so that each attempt renews the lease
        poll_interval_seconds=0.02,
        dispatch=Dispatch(order["database"]) if order.get("called") else None,
    )


def _sign_in(order: dict[str, Any], clock: Clock, way: dict[str, Any]) -> SignIn | None:
    if "key" not in order:
        return None
    options = {"client_id": "rehearsal", "key": order["key"], "scope": "system/*.*", "token_url": order["token_url"]}
    return BackendServices(order["hospital"], **options, **way, now=clock, new_id=lambda: str(uuid.uuid4()))


def drain(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """What is due now, then what is due an hour later, and so on: `rounds` times (default once)."""
    for _ in range(order.get("rounds", 1)):
        Worker(bridge, name=f"worker-{os.getpid()}").drain()
        clock.shift += 3600


def settle(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """Until nothing is open but what is stopped for a person."""
    for _ in range(ROUNDS):
        if not _open(bridge):
            return
        drain(bridge, clock, {})
    raise AssertionError(f"still open after {ROUNDS} hours: {status.overview(bridge)}")


def _open(bridge: Bridge) -> int:
    with bridge.store.reading() as tx:
        return sum(count for (_, _, state), count in dead_letters.counts(tx).items() if state != "dead")


def work(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """As a worker does, until killed or, with SIGTERM, asked to stop. `called`: to its lanes, by the dispatch of PostgreSQL."""
    working = threading.Thread(target=Worker(bridge, name=f"worker-{os.getpid()}").run, args=(ASKED_TO_STOP,))
    working.start()
    while working.is_alive():
        working.join(0.1)


def serve(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """The web doors on a listening socket that was inherited, so that the port is known and stays ours."""
    from werkzeug.serving import make_server

    app = create_app(bridge, log=_Silent())
    make_server("127.0.0.1", 0, HalfReplies(app), threaded=True, fd=order["fd"]).serve_forever(0.02)


def pulled(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """One pull, in pages of two, so that every point is passed often."""
    pull(bridge, tenant="default", hospital="general", page_size=2)


def retry(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """All that is stopped runs again, `at_once` in a transaction."""
    stopped.AT_ONCE = order["at_once"]
    stopped.retry_many(bridge, stopped.Which("default"), who="rehearsal", why="mended")


def discard(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """All that is stopped is given up, `at_once` in a transaction."""
    stopped.AT_ONCE = order["at_once"]
    stopped.discard_many(bridge, stopped.Which("default"), who="rehearsal", why="entered twice")


def tick(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """A scheduler looks once and finishes what it began, then an hour later, and so on: `rounds` times (default once)."""
    for _ in range(order.get("rounds", 1)):
        scheduler = Scheduler(bridge)
        scheduler.tick()
        scheduler.wait()
        clock.shift += 3600


def schedule(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """As a scheduler does, until killed or, with SIGTERM, asked to stop."""
    service.LOOK_SECONDS = order.get("look", service.LOOK_SECONDS)
    running = threading.Thread(target=Scheduler(bridge).run, args=(ASKED_TO_STOP,))
    running.start()
    while running.is_alive():
        running.join(0.1)


def rotate(bridge: Bridge, clock: Clock, order: dict[str, Any]) -> None:
    """`rounds` new keys for the client of this id, each put down in the file `seen` as the administrator who sees it would."""
    for _ in range(order["rounds"]):
        wanted, overlap = Wanted(order["kind"]), timedelta(hours=order["overlap_hours"])
        shown, _until = registry.rotate(bridge, tenant="default", id=order["client"], wanted=wanted, overlap=overlap, by="rehearsal")
        with open(order["seen"], "a") as seen:
            seen.write(f"{shown.get('key') or shown['signer']}\n")


class _Silent:
    def __getattr__(self, name: str) -> Callable[..., "_Silent"]:
        return lambda *_, **__: self


@dataclass
class HalfReplies:
    """The server may die when half of an answer has left: point I5 is where the HTTP server's own code runs."""

    app: Callable[..., Iterable[bytes]]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        for piece in self.app(environ, start_response):
            yield piece[: len(piece) // 2]
            if environ["REQUEST_METHOD"] == "POST":
                fault_point("I5")
            yield piece[len(piece) // 2 :]


TASKS: dict[str, Callable[[Bridge, Clock, dict[str, Any]], None]] = {
    "drain": drain,
    "settle": settle,
    "work": work,
    "serve": serve,
    "pull": pulled,
    "retry": retry,
    "discard": discard,
    "tick": tick,
    "schedule": schedule,
    "rotate": rotate,
}


def _forgetful(resolve: Callable[..., Any], forgotten: Path) -> Callable[..., Any]:
    """The name service, which knows no name while there is such a file."""

    def resolved(*asked: Any, **more: Any) -> Any:
        if forgotten.exists():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(*asked, **more)

    return resolved


def child(order: dict[str, Any], site: Site) -> NoReturn:
    """The forked process: arm the fault, do the task, end without the parent's farewells."""
    try:
        os.environ["FHIR_BRIDGE_FAULT"] = order.get("fault", "")
        faults.arm()
        clock = Clock(
            order.get("shift", 0), order.get("speed", 1), datetime.fromisoformat(order["since"]) if "since" in order else utc_now()
        )
        if "forgotten_names" in order:
            socket.getaddrinfo = _forgetful(socket.getaddrinfo, Path(order["forgotten_names"]))
        TASKS[order["do"]](bridge_of(order, site, clock), clock, order)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@contextmanager
def stoppable(task: str) -> Iterator[None]:
    """What is forked within ends well when it gets a SIGTERM, if it is a task that goes on until then."""
    before = signal.getsignal(signal.SIGTERM)
    if task in ("work", "schedule"):
        signal.signal(signal.SIGTERM, lambda *_: ASKED_TO_STOP.set())
    yield
    signal.signal(signal.SIGTERM, before)


def _warm(site: Site) -> None:
    """Whatever is made once a process, for its first record, is made before the forks: they begin where a process at work is."""
    for like in PARTS:
        map_back(site.mapping, map_record(site.mapping, Visit(0, patient=0, version=2, like=like).document(), zone=site.zone))
    gc.freeze()


def main() -> None:
    logging.disable(logging.CRITICAL)
    site = bootstrap.site(Settings(), "default")
    _warm(site)
    listening: dict[str, socket.socket] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "listen" in order:
            listening[order["listen"]] = made = socket.create_server(("127.0.0.1", 0))
            answer: dict[str, Any] = {"fd": made.fileno(), "port": made.getsockname()[1]}
        elif "wait" in order:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
        else:
            with stoppable(order["do"]):  # from its first moment on: whoever starts one may end it at once
                if (pid := os.fork()) == 0:
                    child(order, site)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
