"""What a hospital showed: one resource in one version, or that it is gone."""

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


def of_resource(resource: dict[str, Any]) -> Seen:
    """A resource that has a type and an id, as a read or a search shows it."""
    said = resource.get("meta")
    meta = said if isinstance(said, dict) else {}
    version, updated = meta.get("versionId"), meta.get("lastUpdated")
    return Seen(
        str(resource["resourceType"]),
        str(resource["id"]),
        version if isinstance(version, str) else "",
        updated if isinstance(updated, str) else "",
        resource,
    )
