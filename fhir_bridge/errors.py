"""What can be wrong, said so that the reader knows where and what to do next.

No message here may hold patient data: a fault names a path and a rule, never the value found there.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document: where (`readings[2].heart_rate`, `Observation.status`), and what to do about it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class BridgeError(Exception):
    """Something the bridge refuses or cannot do."""


class Refused(BridgeError):
    """A document or setting was refused; `faults` holds every reason at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))
