"""What one hospital's server says it can do, corrected by what the site's people know of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a statement does not say about one hospital.

    `deny` and `known_good` hold words like `Encounter.create`, `Observation.updateCreate`, `Patient.search.identifier` and
    `system.transaction` (a `*` for the type means every type). `references` are the hospital's fixed resources by role
    (`location`, `performer`, `organization`, `slot`) or by our own `Type/id`. `vendor` is `hapi|epic|oracle|athena`, empty = guess.
    """

    vendor: str = ""
    deny: frozenset[str] = frozenset()
    known_good: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)
    entries_per_call: int = 100
    bytes_per_call: int = 1_000_000


@dataclass(frozen=True, slots=True)
class TypeCapabilities:
    """One resource type: `interactions` are FHIR's codes (`create`, `update`, `patch`, `delete`, `search-type`, `history-type` …)."""

    interactions: frozenset[str] = frozenset()
    search: frozenset[str] = frozenset()
    update_create: bool = False
    conditional_create: bool = False
    conditional_update: bool = False
    versioning: str = ""

    def can(self, interaction: str) -> bool:
        """Whether the server takes `interaction` on this type."""
        return interaction in self.interactions


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The server as we may use it: statement plus site file. `system` are system interactions (`transaction`, `batch` …)."""

    types: Mapping[str, TypeCapabilities] = field(default_factory=dict)
    system: frozenset[str] = frozenset()
    vendor: str = ""
    software: str = ""
    fhir_version: str = ""
    patch_formats: frozenset[str] = frozenset()
    security: frozenset[str] = frozenset()
    site: SiteFile = field(default_factory=SiteFile)

    def of(self, resource_type: str) -> TypeCapabilities:
        """What the server does with `resource_type`; nothing at all when the statement does not list it."""
        return self.types.get(resource_type, TypeCapabilities())


def read(statement: dict[str, Any], *, site: SiteFile = SiteFile()) -> Capabilities:  # noqa: B008 - a frozen value
    """`statement` (a CapabilityStatement) with `site` applied: first `known_good` added, then `deny` taken away.

    Search parameters and interactions of `rest` itself count for every type listed. Raises `Refused` when the document is
    not a CapabilityStatement of a server speaking FHIR R4 (4.0.x).
    """
    raise NotImplementedError


def difference(old: Capabilities, new: Capabilities) -> list[str]:
    """What changed between two readings, one sentence a change; empty when nothing did."""
    raise NotImplementedError
