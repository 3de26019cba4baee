"""One run of the pull at one hospital: what it works with, what it counts and says, and the transaction of each of its steps."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.store.database import Transaction
from fhir_bridge.sync.bridge import Bridge, Hospital

OVERLAP = timedelta(minutes=10)  # at least the clocks' difference, the hospital's longest transaction and its index's delay
PAGE_SIZE = 200

log = logging.getLogger(__name__)


class Stop(BridgeError):
    """The reading of this type ends here, for a reason a person is told; what was read stays, and the next pull goes on."""


class Refused(Stop):
    """The server does not answer this way at all: another way is tried."""


class _Undo(Exception):
    """A rehearsal's transaction ends: nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Run:
    """`until` (monotonic seconds) is when to stop, `stopping` says so before; `dry` keeps nothing; `tell` says how far it is.

    `counts` are by what became of each entry, `applied` what `apply_page` says of those that were new, `notes` the sentences a
    person should read, `ways` the mode of each type.
    """

    bridge: Bridge
    tenant: str
    hospital: Hospital
    capabilities: Capabilities
    holder: str
    until: float
    dry: bool = False
    overlap: timedelta = OVERLAP
    page_size: int = PAGE_SIZE
    tell: Callable[[str], None] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    counts: Counter[str] = field(default_factory=Counter)
    applied: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    ways: dict[str, str] = field(default_factory=dict)

    def note(self, words: str) -> None:
        """Something a person should read, once: also into the log. `words` never hold patient data."""
        if words not in self.notes:
            log.warning("%s: %s", self.hospital.name, words)
            self.notes.append(words)
            self.tell(words)

    def go_on(self, type: str) -> None:
        """Raises `Stop` when this run is asked to end."""
        if self.stopping():
            raise Stop(f"{type}: asked to stop; the next pull goes on here")

    @contextmanager
    def step(self) -> Iterator[Transaction]:
        """A transaction, committed at the end; of a dry run nothing is."""
        with suppress(_Undo), self.bridge.store.transaction() as tx:
            yield tx
            if self.dry:
                raise _Undo
