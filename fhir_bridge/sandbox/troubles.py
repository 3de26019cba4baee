"""One trouble of the network after the other, at a relay: each lasts until somebody met it and has noticed, and then all is well again."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fhir_bridge.sandbox.relay import Relay

LASTS = 0.2  # seconds after somebody met it
SLOW = frozenset({"connect-hang", "swallowed", "trickle", "slow-close"})  # noticed only when the caller's patience is over
_LOOK = 0.02


@dataclass
class Troubles:
    """`patience` is how long a caller waits, in seconds; `met` counts who met trouble, by its kind."""

    relay: Relay
    patience: float
    met: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def playing(self, kinds: Sequence[str], *, pause: float) -> Iterator[None]:
        """While the block lasts, each of `kinds` in turn, `pause` seconds after the one before; at its end nothing fails any more."""
        stop = threading.Event()
        thread = threading.Thread(target=self._play, args=(kinds, pause, stop), name="troubles", daemon=True)
        with knowing(self.relay):
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def _play(self, kinds: Sequence[str], pause: float, stop: threading.Event) -> None:
        for kind in kinds:
            if stop.wait(pause):
                return
            self.relay.fail(kind)
            while not self.relay.met and not stop.wait(_LOOK):
                pass
            stop.wait(1.5 * self.patience if kind in SLOW else LASTS)
            self.relay.heal()
            if self.relay.met:
                self.met[kind] = self.relay.met


@contextmanager
def knowing(relay: Relay) -> Iterator[None]:
    """This process's name service, which tells the relay who looks for it, and does not know it when that is the trouble."""
    known = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if port == relay.port:
            relay.looked_for()
        return known(host, port, *args, **more)

    socket.getaddrinfo = resolve
    try:
        yield
    finally:
        socket.getaddrinfo = known
