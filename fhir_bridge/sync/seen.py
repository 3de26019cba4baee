"""What a pull or a reconciliation saw at a hospital: one resource in one version, or that it is gone."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One resource as the hospital shows it: its `type` and `id` there.

    `version` and `last_updated` are as the hospital said them, empty where it said none; `resource` is None when it was deleted.
    """

    type: str
    id: str
    version: str
    last_updated: str
    resource: dict[str, Any] | None = field(repr=False)

    @property
    def theirs(self) -> str:
        """`Type/id` at the hospital, as links spell it."""
        return f"{self.type}/{self.id}"
