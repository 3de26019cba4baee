"""A search: what a query asks for, as a value, and which resources answer it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_bridge.sandbox import match, parameters
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.parameters import Parameter
from fhir_bridge.sandbox.store import Document, Draft, Version

Pairs = Iterable[tuple[str, str]]
RESULT_PARAMETERS = {"_count", "_sort", "_total", "_elements", "_summary", "_format", "_pretty", "_offset"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter of a query; any of `values` answers it. `chain` is the parameter to look up in what is referred to."""

    name: str
    parameter: Parameter
    modifier: str
    values: tuple[str, ...]
    chain: str = ""


def criteria(kind: str, query: Pairs, *, allowed: Iterable[str] | None = None) -> list[Criterion]:
    """What the resources must answer; unknown parameters are refused with 400, as HAPI does whatever `Prefer: handling` says."""
    known = parameters.by_type()[kind]
    valid = sorted(known if allowed is None else set(allowed) & known.keys())
    return [_criterion(kind, item, known, valid=valid) for item in query if item[0] not in RESULT_PARAMETERS and item[1] != ""]


def find(draft: Draft, kind: str, wanted: list[Criterion]) -> Iterator[Version]:
    """The resources that answer every criterion, in order of creation."""
    for version in draft.every(kind, _identifier(wanted)):
        if version.document is not None and all(answers(draft, version.document, criterion) for criterion in wanted):
            yield version


def matching(draft: Draft, kind: str, query: Pairs) -> list[Version]:
    """`find` for a query as it came."""
    return list(find(draft, kind, criteria(kind, query)))


def answers(draft: Draft, document: Document, criterion: Criterion) -> bool:
    """Does this resource answer this criterion?"""
    found = [value for path in criterion.parameter.paths for value in parameters.values(document, path)]
    if criterion.modifier == "missing":
        return (not found) == (criterion.values[0] == "true")
    if criterion.chain:
        return any(_chained(draft, value, criterion) for value in found)
    compare = match.BY_KIND[criterion.parameter.kind]
    hit = any(compare(value, wanted, criterion.modifier) for value in found for wanted in criterion.values)
    return hit != (criterion.modifier == "not")


def ordered(found: list[Version], sort: str) -> list[Version]:
    """`found` by `_sort`: `_lastUpdated`, `_id`, or a date or token parameter of the type; `-` in front turns it round."""
    for name in reversed([part for part in sort.split(",") if part]):
        found = sorted(found, key=lambda version: _sort_key(version, name.lstrip("-")), reverse=name.startswith("-"))
    return found


def _sort_key(version: Version, name: str) -> Any:
    if name == "_lastUpdated":
        return (version.updated, version.place)
    if not (parameter := parameters.by_type()[version.type].get(name)):
        valid = sorted(parameters.by_type()[version.type])
        raise Rejected(400, f'HAPI-1194: Invalid _sort parameter "{name}". Valid values are: [{", ".join(valid)}]', "invalid")
    return min((str(value) for path in parameter.paths for value in parameters.values(version.document, path)), default="")


def _criterion(kind: str, item: tuple[str, str], known: dict[str, Parameter], *, valid: list[str]) -> Criterion:
    head, _, chain = item[0].partition(".")
    name, _, modifier = head.partition(":")
    if name not in valid:
        text = (
            f'HAPI-0524: Unknown search parameter "{name}" for resource type "{kind}". Valid search parameters for this search are: {valid}'
        )
        raise Rejected(400, text.replace("'", ""), "processing")
    parameter, values = known[name], tuple(match.split(item[1], ","))
    if parameter.kind == "date":
        for value in values:
            match.wanted_date(value)
    targets = parameter.targets[0] if name == "patient" else ""
    return Criterion(name, parameter, modifier or targets, values, chain)


def _chained(draft: Draft, value: Any, criterion: Criterion) -> bool:
    kind, _, identity = str(value.get("reference", "")).partition("/")
    version = draft.current(kind, identity)
    if version is None or version.document is None or criterion.modifier not in ("", kind):
        return False
    inner = [(criterion.chain, ",".join(criterion.values))]
    return all(answers(draft, version.document, part) for part in criteria(kind, inner))


def _identifier(wanted: list[Criterion]) -> str | None:
    """The one identifier value that narrows the search by the store's index."""
    for criterion in wanted:
        if criterion.name == "identifier" and len(criterion.values) == 1 and criterion.modifier == "" and not criterion.chain:
            value = match.plain(match.split(criterion.values[0], "|")[-1])
            return value or None
    return None
