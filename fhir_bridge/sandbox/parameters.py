"""R4's search parameters, as data: for each type the name, kind and paths of each, taken from HL7's own definitions.

`search_parameters.json` is written by `scripts/search-parameters`. In a path, `effective[x]` is any type of that choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fhir_bridge import documents


@dataclass(frozen=True, slots=True)
class Parameter:
    """How one search parameter finds its values; `targets` are the types a reference may have (none: any)."""

    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()


EVERYWHERE = {
    "_id": Parameter("token", ("id",)),
    "_lastUpdated": Parameter("date", ("meta.lastUpdated",)),
    "_tag": Parameter("token", ("meta.tag",)),
    "_security": Parameter("token", ("meta.security",)),
    "_profile": Parameter("uri", ("meta.profile",)),
    "_source": Parameter("uri", ("meta.source",)),
}


@cache
def by_type() -> dict[str, dict[str, Parameter]]:
    """Every type this server knows, with its search parameters."""
    text = (resources.files("fhir_bridge.sandbox") / "search_parameters.json").read_bytes()
    return {kind: EVERYWHERE | {name: _parameter(entry) for name, entry in found.items()} for kind, found in documents.loads(text).items()}


@cache
def targets_of(kind: str, path: str) -> frozenset[str] | None:
    """The types a reference at `path` may have (empty: any); None when no search parameter speaks of it."""
    found = [p for name, p in by_type()[kind].items() if p.kind == "reference" and path in p.paths and name != "patient"]
    if not found:
        return None
    return frozenset() if any(not p.targets for p in found) else frozenset(target for p in found for target in p.targets)


def values(document: Any, path: str) -> Iterator[Any]:
    """What is found at a dotted path, lists opened."""
    if isinstance(document, list):
        for item in document:
            yield from values(item, path)
    elif not path:
        yield document
    elif isinstance(document, dict):
        name, _, rest = path.partition(".")
        for key in _keys(document, name):
            yield from values(document[key], rest)


def _keys(document: dict[str, Any], name: str) -> list[str]:
    stem = name.removesuffix("[x]")
    if stem == name:
        return [name] if name in document else []
    return [key for key in document if key.startswith(stem) and key[len(stem) : len(stem) + 1].isupper()]


def _parameter(entry: dict[str, Any]) -> Parameter:
    return Parameter(entry["kind"], tuple(entry["paths"]), tuple(entry.get("targets", ())))
