"""What a sender asks for, read off a FHIR search: the table of parameters that exist, and a query as a value. Pure.

R4's search page: values joined by a comma are alternatives, a parameter said twice must hold twice, an unknown modifier is refused,
an unknown parameter is ignored and told, or refused when the client asks for strict handling.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store.referral_search import AnyOf, Condition, Named, OneOf
from fhir_bridge.sync.bridge import Site
from fhir_bridge.sync.referrals.dates import within
from fhir_bridge.sync.referrals.shape import ORDER, PATIENT, TASK, NotFhir

MOST, PAGE, MAX_TEXT = 100, 50, 4_000
EVERY = (ORDER, TASK, PATIENT)
#: the column of a type's id
COLUMNS = {ORDER: "service_request", TASK: "task", PATIENT: "patient"}
_TABLES = {ORDER: ("referral-order-status", "http://hl7.org/fhir/request-status"),
           TASK: ("referral-task-status", "http://hl7.org/fhir/task-status")}  # fmt: skip
#: what shapes the answer, and is the same for every type
RESULT = frozenset({"_count", "_sort", "_format", "_pretty", "_cursor"})
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SORTS = {"_lastUpdated": False, "-_lastUpdated": True}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter: its kind as R4 calls it, the types that have it, what it means; `read` makes a value a condition."""

    name: str
    kind: str
    types: tuple[str, ...]
    meaning: str
    read: Callable[[Site, str, str], Condition] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Query:
    """A search of one type. `said` are the parameters that were understood, `ignored` the names of those that were not."""

    kind: str
    wanted: tuple[AnyOf, ...] = ()
    count: int = PAGE
    newest_first: bool = True
    said: tuple[tuple[str, str], ...] = ()
    ignored: tuple[str, ...] = ()
    after: tuple[datetime, str] | None = None


def parsed(site: Site, kind: str, pairs: Iterable[tuple[str, str]], *, strict: bool = False) -> Query:
    """The query in `pairs` of names and values; raises `Refused` with everything that cannot be answered, by parameter."""
    pairs, wanted, said, ignored = list(pairs), list[AnyOf](), list[tuple[str, str]](), list[str]()
    faults = _too_much(pairs)
    for name, value in [] if faults else pairs:
        known = _known(kind, name)
        if value == "" or name in ("_format", "_pretty"):
            continue
        if known is None and name not in RESULT:
            ignored.append(name[:40])
            continue
        try:
            wanted += [tuple(known.read(site, kind, one) for one in split(value, ","))] if known else []
            said.append((name, value))
        except ValueError as error:
            faults.append(Fault(name[:40], str(error)))
    faults += [Fault(name, f"is not a parameter of {kind} here; use {_names(kind)}") for name in ignored if strict or ":" in name]
    shaped = _shape(said, faults)
    if faults:
        raise Refused(faults)
    return Query(kind, tuple(wanted), said=tuple(said), ignored=tuple(ignored), **shaped)


def condition(site: Site, kind: str, search: str) -> Query:
    """The search of `If-None-Exist` (`identifier=system|value`); raises `NotFhir` unless every part of it is understood."""
    try:
        query = parsed(site, kind, parse_qsl(search.rpartition("?")[2], keep_blank_values=True), strict=True)
    except Refused as refused:
        raise NotFhir(refused.faults) from None
    if not query.wanted:
        raise NotFhir([Fault("If-None-Exist", "names nothing to look for; say identifier=system|value")])
    return query


def _too_much(pairs: list[tuple[str, str]]) -> list[Fault]:
    if len(pairs) > MOST or sum(value.count(",") + 1 for _, value in pairs) > MOST or sum(map(len, map("".join, pairs))) > MAX_TEXT:
        return [Fault("", f"asks too much at once: at most {MOST} values of {MAX_TEXT} characters together")]
    return [Fault("", "holds a character that no resource has")] if any("\0" in value for _, value in pairs) else []


def split(text: str, mark: str) -> list[str]:
    """The parts between `mark`s that no backslash escapes (R4, search: escaping); the escapes of other marks stay."""
    parts, part, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            part += text[at : at + 2]
            at += 2
            continue
        if text[at] == mark:
            parts.append(part)
            part = ""
        else:
            part += text[at]
        at += 1
    return [*parts, part]


def plain(text: str) -> str:
    """`text` without its escapes."""
    return _ESCAPED.sub(r"\1", text)


def _shape(said: Iterable[tuple[str, str]], faults: list[Fault]) -> dict[str, Any]:
    shaped: dict[str, Any] = {}
    for name, value in said:
        if name == "_count":
            if value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0:
                shaped["count"] = min(int(value), MOST)
            else:
                faults.append(Fault("_count", "must be a whole number above 0"))
        if name == "_sort":
            if value in _SORTS:
                shaped["newest_first"] = _SORTS[value]
            else:
                faults.append(Fault("_sort", f"must be one of {', '.join(_SORTS)}"))
    return shaped


def _known(kind: str, name: str) -> Parameter | None:
    return next((one for one in PARAMETERS if one.name == name and kind in one.types), None)


def _names(kind: str) -> str:
    return ", ".join(one.name for one in PARAMETERS if kind in one.types)


def _token(text: str) -> tuple[str | None, str]:
    """(system, code); the system is None when any will do."""
    system, *rest = (plain(part) for part in split(text, "|"))
    if len(rest) > 1:
        raise ValueError("must be a value, or a system and a value with one | between them")
    return (system, rest[0]) if rest else (None, system)


def _id(site: Site, kind: str, text: str) -> Condition:
    return OneOf(COLUMNS[kind], (plain(text),))


def _identifier(site: Site, kind: str, text: str) -> Condition:
    system, value = _token(text)
    if not value:
        raise ValueError("must say a value: system|value, or the value alone")
    return Named(kind, system, value)


def _patients_identifier(site: Site, kind: str, text: str) -> Condition:
    return _identifier(site, PATIENT, text)


def _status(site: Site, kind: str, text: str) -> Condition:
    system, code = _token(text)
    table, own = _TABLES[kind]
    words = [word for word, codes in site.mapping.tables.codes[table].written.items() if any(one.code == code for one in codes)]
    return OneOf("status", tuple(words) if system in (None, own) else ())


def _reference(to: str) -> Callable[[Site, str, str], Condition]:
    def read(site: Site, kind: str, text: str) -> Condition:
        *before, id = plain(text).rsplit("/", 2)
        return OneOf(COLUMNS[to], (id,) if not before or before[-1] == to else ())

    return read


def _date(column: str) -> Callable[[Site, str, str], Condition]:
    def read(site: Site, kind: str, text: str) -> Condition:
        return within(column, text, site.zone)

    return read


PARAMETERS = (
    Parameter("_id", "token", EVERY, "the resource's id", _id),
    Parameter("_lastUpdated", "date", EVERY, "when the referral last changed", _date("updated_at")),
    Parameter("identifier", "token", EVERY, "system|value, or the value alone", _identifier),
    Parameter("status", "token", (ORDER, TASK), "the resource's status", _status),
    Parameter("patient", "reference", (ORDER, TASK), "the Patient, by id; by number as patient.identifier", _reference(PATIENT)),
    Parameter("patient.identifier", "token", (ORDER, TASK), "the Patient's identifier", _patients_identifier),
    Parameter("subject", "reference", (ORDER, TASK), "the same as patient", _reference(PATIENT)),
    Parameter("authored", "date", (ORDER,), "when it was ordered", _date("authored_at")),
    Parameter("authored-on", "date", (TASK,), "when it was received", _date("received_at")),
    Parameter("focus", "reference", (TASK,), "the ServiceRequest, by its id here", _reference(ORDER)),
)
