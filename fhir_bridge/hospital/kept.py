"""Kept or not: what we sent against what the hospital holds, leaf by leaf, by meaning."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """Paths (`Observation.valueQuantity.value`), never values: `kept`, `changed`, `dropped` of ours; `added` by the server."""

    kept: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether everything we sent is there as we sent it."""
        return not (self.changed or self.dropped)


def compare(sent: dict[str, Any], held: dict[str, Any]) -> Comparison:
    """`sent` (references already the hospital's) against `held`. Times compare as instants, numbers as decimals, lists as sets."""
    raise NotImplementedError
