"""What one hospital's server says it can do, corrected by what the site's people know of it.

Statements over- and under-report, so the site file may take away (`deny`) and add (`known_good`). Parameters and interactions
given for the whole server (`rest`) count for every type, because some servers state them only there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fhir_bridge.errors import Fault, Refused


@dataclass(frozen=True, slots=True)
class SiteFile:
    """What a statement does not say about one hospital.

    `deny` and `known_good` hold words like `Encounter.create`, `Observation.updateCreate`, `Patient.search.identifier` and
    `system.transaction` (a `*` for the type means every type listed). `references` are the hospital's fixed resources by role
    (`location`, `performer`, `organization`, `slot`) or by our own `Type/id`. `vendor` is `hapi|epic|oracle|athena`, empty = guess.
    `patient_system` is the system of the hospital's own patient numbers: a patient who has one is matched, never made a second time.
    `observation_codes` are the Observation codes the hospital has a place for (Epic: flowsheet rows); empty = not known.
    `page_bases` are base addresses by which a server behind a proxy calls itself in its next links; only the base address is called.
    `channel` is `message` for a hospital that is told of its referrals by messages to its `$process-message`.
    """

    vendor: str = ""
    deny: frozenset[str] = frozenset()
    known_good: frozenset[str] = frozenset()
    references: Mapping[str, str] = field(default_factory=dict)
    patient_system: str = ""
    observation_codes: frozenset[str] = frozenset()
    page_bases: frozenset[str] = frozenset()
    entries_per_call: int = 100
    bytes_per_call: int = 1_000_000
    channel: str = ""


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


_FLAGS: dict[str, Literal["update_create", "conditional_create", "conditional_update"]] = {
    "updateCreate": "update_create",
    "conditionalCreate": "conditional_create",
    "conditionalUpdate": "conditional_update",
}
_VENDORS = (("hapi", r"\bhapi\b"), ("epic", r"\bepic\b"), ("oracle", r"\b(oracle|cerner|millennium)\b"), ("athena", r"\bathena"))


def read(statement: dict[str, Any], *, site: SiteFile = SiteFile()) -> Capabilities:
    """`statement` (a CapabilityStatement) with `site` applied: first `known_good` added, then `deny` taken away.

    Raises `Refused` when the document is not a CapabilityStatement of a server speaking FHIR R4 (4.0.x).
    """
    rest = _server_part(statement)
    everywhere = _names(rest.get("searchParam"))
    named = f"{_said(statement, 'software', 'name')} {statement.get('publisher', '')} {statement.get('name', '')}"
    vendor = site.vendor or _vendor(named)
    listed = [item for item in _objects(rest.get("resource")) if isinstance(item.get("type"), str)]
    types = {item["type"]: _type({**_UNSAID.get(vendor, {}), **item}, everywhere) for item in listed}
    for words, present in ((site.known_good, True), (site.deny, False)):
        types = _corrected(types, words, present)
    return Capabilities(
        types=types,
        system=_system(rest, site),
        vendor=vendor,
        software=f"{_said(statement, 'software', 'name')} {_said(statement, 'software', 'version')}".strip(),
        fhir_version=str(statement.get("fhirVersion", "")),
        patch_formats=frozenset(_texts(statement.get("patchFormat"))),
        security=frozenset(_security(rest)),
        site=site,
    )


def site_file(rules: Mapping[str, Any]) -> SiteFile:
    """`rules` as settings and files write them (lists for sets) as a `SiteFile`."""
    sets = {name: frozenset(rules[name]) for name in ("deny", "known_good", "observation_codes", "page_bases") if name in rules}
    return SiteFile(**{**rules, **sets})


def difference(old: Capabilities, new: Capabilities) -> list[str]:
    """What changed between two readings, one sentence a change; empty when nothing did."""
    lines = []
    for what, before, after in (("FHIR version", old.fhir_version, new.fhir_version), ("software", old.software, new.software)):
        if before != after:
            lines.append(f"The {what} was {before or 'not stated'} and is {after or 'not stated'}.")
    lines += _gained_lost("The server", old.system, new.system, "interaction")
    for name in sorted(set(old.types) | set(new.types)):
        lines += _type_difference(name, old.types.get(name), new.types.get(name))
    return lines


def _type_difference(name: str, old: TypeCapabilities | None, new: TypeCapabilities | None) -> list[str]:
    if old is None or new is None:
        return [f"{name} is {'new' if old is None else 'no longer listed'}."]
    lines = _gained_lost(name, old.interactions, new.interactions, "interaction")
    lines += _gained_lost(name, old.search, new.search, "search parameter")
    before = {word for word, attribute in _FLAGS.items() if getattr(old, attribute)}
    after = {word for word, attribute in _FLAGS.items() if getattr(new, attribute)}
    return lines + _gained_lost(name, before, after, "ability")


def _gained_lost(who: str, old: Iterable[str], new: Iterable[str], what: str) -> list[str]:
    before, after = set(old), set(new)
    gained = [f"{who} gained the {what} {word}." for word in sorted(after - before)]
    return gained + [f"{who} lost the {what} {word}." for word in sorted(before - after)]


def _server_part(statement: dict[str, Any]) -> dict[str, Any]:
    faults = []
    if statement.get("resourceType") != "CapabilityStatement":
        faults.append(Fault("resourceType", "must be CapabilityStatement; is the base address right?"))
    elif not str(statement.get("fhirVersion", "")).startswith("4.0"):
        faults.append(Fault("CapabilityStatement.fhirVersion", "must be 4.0.x: this bridge speaks FHIR R4"))
    rest = next((part for part in _objects(statement.get("rest")) if part.get("mode") == "server"), None)
    if not faults and rest is None:
        faults.append(Fault("CapabilityStatement.rest", "must have a part with mode server"))
    if faults or rest is None:
        raise Refused(faults)
    return rest


# What a vendor's server does with every type and does not state. HAPI's JPA server takes ids of the client's that hold a letter
# (JpaStorageSettings, ClientIdStrategyEnum.ALPHANUMERIC, its default); where that is switched off: deny = ["*.updateCreate"].
_UNSAID: Mapping[str, Mapping[str, Any]] = {"hapi": {"updateCreate": True}}


def _type(item: dict[str, Any], everywhere: frozenset[str]) -> TypeCapabilities:
    return TypeCapabilities(
        interactions=_codes(item.get("interaction")),
        search=_names(item.get("searchParam")) | everywhere,
        update_create=item.get("updateCreate") is True,
        conditional_create=item.get("conditionalCreate") is True,
        conditional_update=item.get("conditionalUpdate") is True,
        versioning=str(item.get("versioning", "")),
    )


def _corrected(types: dict[str, TypeCapabilities], words: Iterable[str], present: bool) -> dict[str, TypeCapabilities]:
    corrected = dict(types)
    for word in sorted(words):
        name, _, ability = word.partition(".")
        for each in list(corrected) if name == "*" else [name]:
            if each != "system":
                corrected[each] = _with(corrected.get(each, TypeCapabilities()), ability, present)
    return corrected


def _with(type_: TypeCapabilities, ability: str, present: bool) -> TypeCapabilities:
    def changed(old: frozenset[str], word: str) -> frozenset[str]:
        return old | {word} if present else old - {word}

    if ability == "*":  # a denied type: nothing of it is left
        return type_ if present else TypeCapabilities()
    if ability in _FLAGS:
        flag: dict[str, Any] = {_FLAGS[ability]: present}
        return replace(type_, **flag)
    if ability.startswith("search."):
        return replace(type_, search=changed(type_.search, ability.removeprefix("search.")))
    return replace(type_, interactions=changed(type_.interactions, ability))


def _system(rest: dict[str, Any], site: SiteFile) -> frozenset[str]:
    added = {word.removeprefix("system.") for word in site.known_good if word.startswith("system.")}
    denied = {word.removeprefix("system.") for word in site.deny if word.startswith("system.")}
    return (_codes(rest.get("interaction")) | added) - denied


def _security(rest: dict[str, Any]) -> Iterable[str]:
    for service in _objects((rest.get("security") or {}).get("service")):
        for coding in _objects(service.get("coding")):
            if isinstance(coding.get("code"), str):
                yield coding["code"]


def _vendor(words: str) -> str:
    return next((vendor for vendor, pattern in _VENDORS if re.search(pattern, words, re.IGNORECASE)), "")


def _codes(items: Any) -> frozenset[str]:
    return frozenset(item["code"] for item in _objects(items) if isinstance(item.get("code"), str))


def _names(items: Any) -> frozenset[str]:
    return frozenset(item["name"] for item in _objects(items) if isinstance(item.get("name"), str))


def _said(document: dict[str, Any], part: str, name: str) -> str:
    inner = document.get(part)
    return str(inner.get(name, "")) if isinstance(inner, dict) else ""


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _texts(items: Any) -> list[str]:
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []
