"""Named points where a rehearsal may kill, stop, fail or delay the running process; in production they do nothing.

Only the environment arms them, read at import (and by `arm`, in a rehearsal that forks its processes):
`FHIR_BRIDGE_FAULT="name:action:hit"` acts at the hit-th passage (1 = the first) of the point `name`; the action is `kill`
(SIGKILL), `stop` (SIGSTOP), `raise` (`Rehearsed`) or `delay=SECONDS`.
`FHIR_BRIDGE_FAULT_LOG=path` appends the name of each point reached, once a process.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

from fhir_bridge.errors import BridgeError, Fault, Refused


class Rehearsed(BridgeError):
    """The failure that `raise` rehearses."""


def fault_point(name: str) -> None:
    """Passes the point `name`; without the environment's word this is one look at a boolean."""
    if _armed:
        _reach(name)


def _reach(name: str) -> None:
    _reached[name] += 1
    if _log and _reached[name] == 1:
        with Path(_log).open("a", encoding="utf-8") as log:
            log.write(f"{name}\n")
    if name == _point and _reached[name] == _hit:
        _act(name)


def _act(name: str) -> None:
    if _action == "raise":
        raise Rehearsed(f"rehearsed failure at {name}")
    if _action.startswith("delay="):
        time.sleep(float(_action.removeprefix("delay=")))
    else:
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[_action])


def _read(setting: str) -> tuple[str, str, int]:
    """(name, action, hit) of "name:action:hit"; raises `Refused`, because a rehearsal that tests nothing is worse than none."""
    name, action, hit = [*setting.split(":"), "", ""][:3]
    known = action in ("kill", "stop", "raise") or action.removeprefix("delay=").replace(".", "", 1).isdigit()
    if not (name and known and hit.isdigit() and setting.count(":") == 2):
        raise Refused([Fault("FHIR_BRIDGE_FAULT", "say name:action:hit, the action one of kill, stop, raise, delay=SECONDS")])
    return name, action, int(hit)


def arm() -> None:
    """Takes the environment at its word anew, with no passage counted yet. Raises `Refused`."""
    global _armed, _log, _point, _action, _hit
    _reached.clear()
    _log = os.environ.get("FHIR_BRIDGE_FAULT_LOG", "")
    setting = os.environ.get("FHIR_BRIDGE_FAULT", "")
    _point, _action, _hit = _read(setting) if setting else ("", "", 0)
    _armed = bool(_log or _point)


_reached: Counter[str] = Counter()
_armed, _log, _point, _action, _hit = False, "", "", "", 0
arm()
