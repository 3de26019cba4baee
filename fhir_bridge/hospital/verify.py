"""After a lost answer: the searches that would find what the attempt wrote, and what their answers mean. Pure.

By our id where we choose it, by our identifier where it can be searched, else by patient, code, time and value. Identifiers go
in the body (POST _search), because addresses end in the logs of every machine between. A match counts only when the resource
really carries our identifier: servers have been seen to compare only its beginning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.hospital.entries import Entry, etag_of
from fhir_bridge.hospital.exchange import Call
from fhir_bridge.hospital.graph import identity, substitute
from fhir_bridge.hospital.kept import compare
from fhir_bridge.hospital.parts import Write
from fhir_bridge.hospital.small_print import codes
from fhir_bridge.hospital.wire import escaped

Resource = dict[str, Any]
_FRESH = {"Cache-Control": "no-cache"}  # HAPI answers a repeated search from its cache for a minute otherwise
_AT_ONCE = 50  # resources asked for in one search
_TIMES = ("effectiveDateTime", "start", "date", "recordedDate", "authoredOn")
_SPANS = ("effectivePeriod", "period", "performedPeriod")


@dataclass(frozen=True, slots=True)
class Adopt:
    """Exactly one match: the hospital has it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Nothing:
    """No match: after the settle time (10 minutes, three looks) it may be sent again.

    `met`: what a change was meant for is there, and does not hold it: as it was before, or as somebody else left it.
    """

    met: Entry | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Several:
    """Several matches: a person decides, never a guess. `ids` are the hospital's; empty when more pages were not seen."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsearchable:
    """This server offers no search that would find it (`searches` is empty): a person looks."""

    reason: str


def searches(write: Write, capabilities: Capabilities, known: Mapping[str, str]) -> tuple[Call, ...]:
    """The calls to make, best first; the first that answers decides. Empty: this server offers none, and a person looks."""
    kind, id_ = write.key.split("/")
    can = capabilities.of(kind)
    if write.verb == "put" or write.target:
        return (Call("GET", f"{kind}/{write.target or id_}", headers=_FRESH),)
    ours = _sought(write, capabilities)
    if ours and "identifier" in can.search and can.can("search-type"):
        return (Call("POST", f"{kind}/_search", headers=_FRESH, form=(("identifier", f"{escaped(ours[0])}|{escaped(ours[1])}"),)),)
    form = _by_content(write, capabilities, known)
    return (Call("POST", f"{kind}/_search", headers=_FRESH, form=form),) if form else ()


def together(writes: Sequence[Write], capabilities: Capabilities, known: Mapping[str, str]) -> tuple[tuple[Call, tuple[Write, ...]], ...]:
    """Searches that each look for several of `writes`, of one type and by one parameter; `found` reads their answer for each.

    Not every write is in one: the others, and those whose answer goes on on another page, are looked for alone.
    """
    groups: dict[tuple[str, str], list[tuple[str, Write]]] = {}
    for write in writes:
        if (sought := _named(write, capabilities)) is not None:
            groups.setdefault((write.key.partition("/")[0], sought[0]), []).append((sought[1], write))
    return tuple(
        (_search_for(kind, name, [value for value, _ in part]), tuple(write for _, write in part))
        for (kind, name), members in groups.items()
        for part in (members[start : start + _AT_ONCE] for start in range(0, len(members), _AT_ONCE))
        if len(part) > 1
    )


def _named(write: Write, capabilities: Capabilities) -> tuple[str, str] | None:
    """The parameter and the value that find `write` and nothing else."""
    kind, id_ = write.key.split("/")
    can = capabilities.of(kind)
    if write.verb == "delete" or not can.can("search-type"):
        return None
    if write.verb == "put" or write.target:
        return ("_id", write.target or id_) if "_id" in can.search else None
    ours = _sought(write, capabilities)
    return ("identifier", f"{escaped(ours[0])}|{escaped(ours[1])}") if ours and "identifier" in can.search else None


def _search_for(kind: str, name: str, values: Sequence[str]) -> Call:
    form = ((name, ",".join(values)), ("_count", str(2 * _AT_ONCE)))
    return Call("POST", f"{kind}/_search", headers=_FRESH, form=form)


def is_whole(answer: Any) -> bool:
    """Whether `answer` is a search's, and says all it has to say."""
    return isinstance(answer, dict) and answer.get("resourceType") == "Bundle" and not _has_more(answer)


def _sought(write: Write, capabilities: Capabilities) -> tuple[str, str] | None:
    """The identifier to search by: of a patient, the hospital's own number first."""
    system = capabilities.site.patient_system
    if write.key.startswith("Patient/") and system:
        for each in write.resource.get("identifier") or ():
            if each.get("system") == system and each.get("value"):
                return system, str(each["value"])
    return identity(write.resource)


def _by_content(write: Write, capabilities: Capabilities, known: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    kind = write.key.split("/")[0]
    can = capabilities.of(kind)
    patient = _patient(write.resource, known)
    name = next((each for each in ("patient", "subject") if each in can.search), None)
    if patient is None or name is None or not can.can("search-type") or kind == "Patient":
        return ()
    form: list[tuple[str, str]] = [(name, patient if name == "subject" else patient.split("/")[1])]
    if "code" in can.search and (found := codes(write.resource)):
        form.append(("code", found[0]))
    if "date" in can.search:
        form += [("date", bound) for bound in _bounds(write.resource)]
    return tuple(form)


def found(write: Write, answer: Resource | None, known: Mapping[str, str]) -> Adopt | Nothing | Several:
    """What `answer` (a searchset Bundle, the resource read, or None for 404/410) says about `write`.

    Of a PUT or update it is the hospital's document: `Adopt` when it holds all we sent, `Nothing` when our write did not arrive.
    """
    kind = write.key.split("/")[0]
    if write.verb == "delete":
        return Nothing() if _resources(answer) else Adopt(Entry(write.key, write.target))
    matches = [each for each in _resources(answer) if each.get("resourceType") == kind and _is_it(write, each, known)]
    if len(matches) == 1 and not _has_more(answer):
        return Adopt(_entry(write, matches[0]))
    if matches:
        return Several(tuple(str(each.get("id", "")) for each in matches))
    if _has_more(answer):
        return Several(())
    target = next((each for each in _resources(answer) if write.target and each.get("id") == write.target), None)
    return Nothing(None if target is None else _entry(write, target))


def _resources(answer: Resource | None) -> list[Resource]:
    if not isinstance(answer, dict):
        return []
    if answer.get("resourceType") != "Bundle":
        return [answer]
    entries = [entry for entry in answer.get("entry") or () if isinstance(entry, dict)]
    wanted = [entry["resource"] for entry in entries if (entry.get("search") or {}).get("mode", "match") == "match" and "resource" in entry]
    return [each for each in wanted if isinstance(each, dict)]


def _has_more(answer: Resource | None) -> bool:
    """Whether the search goes on on another page: then one match is not known to be the only one."""
    links = answer.get("link") if isinstance(answer, dict) and answer.get("resourceType") == "Bundle" else None
    return any(isinstance(link, dict) and link.get("relation") == "next" for link in links or ())


def _is_it(write: Write, held: Resource, known: Mapping[str, str]) -> bool:
    if write.target or write.verb == "put":
        is_there = held.get("id") == (write.target or write.key.split("/")[1])
        return is_there and compare(substitute(write.resource, known), held).whole
    ours, theirs = _identifiers(write.resource), _identifiers(held)
    if set(ours) & set(theirs):
        return True
    if write.key.startswith("Patient/") or {system for system, _ in ours} & {system for system, _ in theirs}:
        return False  # never by content: it is a patient, or it is another one of ours
    return _same_content(write.resource, held, known)


def _same_content(ours: Resource, held: Resource, known: Mapping[str, str]) -> bool:
    same_patient = _patient(ours, known) == _patient(held, {})
    same_code = not codes(ours) or bool(set(codes(ours)) & set(codes(held)))
    return same_patient and same_code and _when_at(ours) == _when_at(held) and _values(ours) == _values(held)


def _identifiers(held: Resource) -> list[tuple[str, str]]:
    items = held.get("identifier")
    objects = [each for each in (items if isinstance(items, list) else [items]) if isinstance(each, dict)]
    return [(str(each.get("system")), str(each.get("value"))) for each in objects]


def _patient(resource: Resource, known: Mapping[str, str]) -> str | None:
    named = [resource.get(name) for name in ("subject", "patient")]
    named += [each.get("actor") for each in resource.get("participant") or () if isinstance(each, dict)]
    for each in named:
        text = each.get("reference", "") if isinstance(each, dict) else ""
        text = known.get(text, text)
        if text.startswith("Patient/") or "/Patient/" in text:
            return "/".join(text.split("/_history")[0].split("/")[-2:])
    return None


def _when(resource: Resource) -> str | None:
    span = next((resource[name].get("start") for name in _SPANS if isinstance(resource.get(name), dict)), None)
    found_ = next((resource[name] for name in _TIMES if isinstance(resource.get(name), str)), span)
    return str(found_) if found_ else None


def _bounds(resource: Resource) -> tuple[str, ...]:
    """What the date of `resource` is searched by. An exact time finds no period that is longer: FHIR R4, search.html#date."""
    when = _when(resource)
    if when is None:
        return ()
    return (when,) if any(isinstance(resource.get(name), str) for name in _TIMES) else (f"ge{when}", f"le{when}")


def _when_at(resource: Resource) -> object:
    """The time as an instant, so that 09:00-05:00 and 14:00Z are one; a date stays the text it is."""
    text = _when(resource)
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return text
    return moment.timestamp() if moment.tzinfo else text


def _values(resource: Resource) -> list[Decimal]:
    """Every quantity of the resource, sorted: two readings of one moment differ in it."""
    values = [resource, *(each for each in resource.get("component") or () if isinstance(each, dict))]
    quantities = [each.get("valueQuantity") for each in values]
    return sorted(Decimal(str(each["value"])).normalize() for each in quantities if isinstance(each, dict) and "value" in each)


def _entry(write: Write, held: Resource) -> Entry:
    version = str((held.get("meta") or {}).get("versionId", ""))
    return Entry(write.key, str(held.get("id", "")), version, etag_of(version), held)
