"""One hospital: what its CapabilityStatement says, and the small print no statement says, both as data in `fixtures/hospitals`.

`statements/NAME.json` is served as `/metadata` and obeyed: what it does not advertise is answered 405. `behaviours/NAME.json`
holds the rest, each entry with its source. `sites/NAME.json` is what an interface engineer agrees with such a hospital: the site
file's `rules`, and what the hospital `holds` before we come, which they refer to. So HAPI, Epic, Oracle Health and athenahealth
are one server with four sets of data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from fhir_bridge import documents, shipped
from fhir_bridge.sandbox import parameters
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.rules import Rule, require_rules, require_transition
from fhir_bridge.sandbox.store import Document, Version

NAMES = ("hapi", "epic", "oracle", "athena")
_HOSPITALS = shipped.folder("hospitals", "fixtures/hospitals")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The small print. Defaults are HAPI's; times in seconds; `codes` are a vendor's own codings for what it refuses."""

    created_status: int = 201
    stale_status: int = 409
    if_match_required: bool = False
    visible_after: float = 0
    newest_first: bool = False
    bodiless_writes: bool = False
    default_count: int = 20
    maximum_count: int = 200
    unlisted: Sequence[str] = ()
    ignores: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    transitions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    patch_paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    search_needs: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    unique: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sources: Sequence[str] = ()


@dataclass(frozen=True)
class Hospital:
    """A hospital's name, CapabilityStatement and behaviour; it says no where the real one does."""

    name: str
    statement: Document
    behaviour: Behaviour = field(default_factory=Behaviour)

    @cached_property
    def types(self) -> dict[str, Document]:
        """The statement's entry of each type it knows, as far as this server knows the type too."""
        found = {entry["type"]: entry for entry in self.statement["rest"][0]["resource"]}
        return {kind: entry for kind, entry in found.items() if kind in parameters.by_type()}

    @cached_property
    def system(self) -> frozenset[str]:
        """The interactions of the whole server: transaction, batch, history-system."""
        listed = self.statement["rest"][0].get("interaction", [])
        return frozenset(entry["code"] for entry in listed) | frozenset(self.behaviour.unlisted)

    def interactions(self, kind: str) -> frozenset[str]:
        """What may be done with a type; an unknown type is 404."""
        if kind not in self.types:
            known = ", ".join(sorted(self.types))
            raise Rejected(404, f"HAPI-0302: Unknown resource type '{kind}' - Server knows how to handle: [{known}]")
        return frozenset(entry["code"] for entry in self.types[kind].get("interaction", []))

    def require_advertised(self, kind: str, interaction: str) -> None:
        """405 for what the statement does not list."""
        if interaction not in self.interactions(kind):
            raise Rejected(405, f"This server does not support {interaction} on {kind}", "not-supported")

    def require_system(self, interaction: str) -> None:
        """405 for a transaction, batch or system history that is not listed."""
        if interaction not in self.system:
            raise Rejected(405, f"This server does not support {interaction}", "not-supported")

    def conditional(self, kind: str, name: str) -> bool:
        """Does this type do `conditionalCreate` or `conditionalUpdate`? Where not, If-None-Exist is ignored without a word."""
        return bool(self.types[kind].get(name, False))

    def require_conditional(self, kind: str, name: str) -> None:
        """405 where a conditional update is not offered."""
        if not self.conditional(kind, name):
            raise Rejected(405, f"This server does not support {name} on {kind}", "not-supported")

    def require_update_create(self, kind: str, identity: str) -> None:
        """404 for a PUT of what is not there, where the server alone gives ids."""
        if not self.types[kind].get("updateCreate", False):
            raise Rejected(404, f"{kind}/{identity} is not known; this server does not create by update", "not-found")

    def require_if_match(self, if_match: str | None) -> None:
        """412 for an update without If-Match, where the server insists on it."""
        if self.behaviour.if_match_required and if_match is None:
            raise Rejected(412, "If-Match is required", "conflict")

    def require_patchable(self, kind: str, operations: Any) -> None:
        """422 for a patch of what the server does not let be patched."""
        allowed = self.behaviour.patch_paths.get(kind)
        for operation in operations if allowed is not None else ():
            if not str(operation.get("path", "")).startswith(tuple(allowed or ())):
                raise Rejected(422, f"{kind}{operation.get('path', '')} cannot be patched", "not-supported")

    def require_searchable(self, kind: str, names: set[str]) -> None:
        """400 for a search without the parameters the server insists on (each list of them is enough)."""
        needs = self.behaviour.search_needs.get(kind, ())
        if needs and not any(names.issuperset(alternative) for alternative in needs):
            text = " or ".join("+".join(alternative) for alternative in needs)
            raise Rejected(400, f"A search of {kind} needs {text}", "required")

    def search_parameters(self, kind: str) -> set[str]:
        """The parameters the statement lists for a type, or for all."""
        lists = (self.types[kind].get("searchParam", []), self.statement["rest"][0].get("searchParam", []))
        return {entry["name"] for listed in lists for entry in listed} | {"_id"}

    def admitted(self, document: Document, *, previous: Document | None) -> Document:
        """The document as the server keeps it: what it ignores is gone; what it does not accept is refused."""
        kind = document["resourceType"]
        require_rules(self.behaviour.rules, document, creating=previous is None)
        if previous is not None:
            require_transition(self.behaviour.transitions.get(kind), previous, document)
        ignored = self.behaviour.ignores.get(kind, ())
        return {key: value for key, value in document.items() if key not in ignored}

    def duplicate(self, kind: str) -> Rejected | None:
        """How the vendor refuses a second resource with an identifier it has; None where it takes it."""
        coding = self.behaviour.unique.get(kind)
        return Rejected(422, f"{kind} may be a duplicate", "duplicate", details={"coding": [dict(coding)]}) if coding else None

    def visible(self, version: Version, now: datetime) -> bool:
        """Has a new resource reached the chart yet? Only its first version may be late."""
        return version.number > 1 or now >= version.updated + timedelta(seconds=self.behaviour.visible_after)


def load(name: str) -> Hospital:
    """The hospital called `hapi`, `epic`, `oracle` or `athena`."""
    statement, behaviour = _told("statements", name), _told("behaviours", name)
    rules = tuple(Rule(**rule) for rule in behaviour.pop("rules", []))
    return Hospital(name, statement, Behaviour(rules=rules, **behaviour))


@dataclass(frozen=True)
class Agreed:
    """What was agreed with a hospital: the rules of its site file, as settings write them, and the resources they refer to."""

    rules: Document
    holds: list[Document]


def agreed(name: str) -> Agreed:
    """What is agreed with the hospital called `name`."""
    found = _told("sites", name)
    return Agreed(found["rules"], found["holds"])


def _told(what: str, name: str) -> Document:
    found: Document = documents.loads((_HOSPITALS / what / f"{name}.json").read_bytes())
    return found
