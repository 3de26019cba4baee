"""What no single field can say: order in time, states that need or forbid something, elements named twice, references that lead nowhere.

The rules read a record that may have gaps (what the schemas already refused is not there), so that one answer tells everything.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from fhir_bridge.clinic.normal import WITHDRAWN, key_of
from fhir_bridge.clinic.structure import Part, Record, Rows
from fhir_bridge.clinic.times import day, instant
from fhir_bridge.errors import Fault

Document = dict[str, Any]

ENDED = ("completed", "stopped")
NOT_STARTED = "not-started"  # the patient came and left again: the visit has an end, and may have a start
RUNNING = ("in-progress", "paused")
NEEDS_REASON = ("stopped", "not-started", "cancelled")
MAY_LACK_TIMES = ("proposed", "cancelled", "waitlisted")  # FHIR R4 Appointment, invariant app-3
REFERRAL_REASONS = ("declined", "session-missed", "session-cancelled", "cancel-requested", "on-hold", "cancelled", "failed", WITHDRAWN)
WITHOUT_EFFECT = ("not-given", WITHDRAWN)


def session_faults(session: Document) -> Iterator[Fault]:
    """Every rule of a session that `session` breaks."""
    return chain(
        _status(session),
        _correction(session),
        _order(session.get("planned", {}), "start", "end", at="planned."),
        _order(session, "started_at", "ended_at"),
        _history(session),
        _withdrawn(session),
        _patient_born(session),
        _drugs(session),
        _fluids(session),
        _reactions(session),
        _references(session),
        _numbers_said_twice(session),
        _headache_days(session.get("headache_days", {})),
        _follow_up(session.get("follow_up", {}), after=session.get("ended_at") or session.get("started_at")),
        _series(session),
    )


def appointment_faults(appointment: Document) -> Iterator[Fault]:
    """Every rule of an appointment that `appointment` breaks."""
    yield from _follow_up(appointment.get("follow_up", {}), after=None)


def referral_faults(record: Document) -> Iterator[Fault]:
    """Every rule of a referral that `record` breaks."""
    referral = record.get("referral", {})
    status = referral.get("status")
    if status == "declined" and "status_reason" not in referral:
        yield Fault(
            "referral.status_reason", "is required when status is declined: the hospital must be able to tell the patient why; add it"
        )
    if "status_reason" in referral and status is not None and status not in REFERRAL_REASONS:
        yield Fault("referral.status_reason", f"is not for a referral that is {status}; leave it out")
    yield from _order(referral, "requested_at", "received_at", at="referral.")


def structure_faults(schema: Record, data: Document, path: str = "") -> Iterator[Fault]:
    """List elements with the same key, and elements that say nothing besides their labels."""
    if schema.labels and data.keys() <= set(schema.labels):
        names = [name for name in schema.fields if name not in schema.labels]
        yield Fault(path, f"says nothing; add one of {', '.join(names)}, or leave the element out")
    for name, value in data.items():
        field = schema.fields.get(name) if isinstance(value, dict | list) else None
        at = f"{path}.{name}" if path else name
        if isinstance(field, Part):
            yield from structure_faults(field.record, value, at)
        elif isinstance(field, Rows):
            yield from _said_twice(field.record, value, at)
            for index, row in enumerate(value):
                yield from structure_faults(field.record, row, f"{at}[{index}]")


def _said_twice(schema: Record, rows: list[Document], path: str) -> Iterator[Fault]:
    seen: dict[Any, int] = {}
    names, key = set(schema.key), key_of(schema)
    for index, row in enumerate(rows):
        if names <= row.keys():
            first = seen.setdefault(key(row), index)
            if first != index:
                said = " and ".join(schema.key)
                yield Fault(
                    f"{path}[{index}].{schema.key[-1]}", f"has the same {said} as {path}[{first}]; give each its own, or merge the two"
                )


def _status(session: Document) -> Iterator[Fault]:
    status = session.get("status")
    if status is None:
        return
    if status != WITHDRAWN:
        yield from _times_of(status, session)
    if status in NEEDS_REASON and "status_reason" not in session:
        yield Fault("status_reason", f"is required when status is {status}; add it")
    if "status_reason" in session and status not in (*NEEDS_REASON, "no-show"):
        yield Fault("status_reason", f"is not for a session that is {status}; leave it out")


def _times_of(status: str, session: Document) -> Iterator[Fault]:
    needed = {"started_at": (*ENDED, *RUNNING), "ended_at": (*ENDED, NOT_STARTED)}
    allowed = {"started_at": (NOT_STARTED,), "ended_at": ()}
    for name, states in needed.items():
        if status in states and name not in session:
            yield Fault(name, f"is required when status is {status}; add it")
        if status not in (*states, *allowed[name]) and name in session:
            yield Fault(name, f"is not for a session that is {status}; leave it out or correct status")


def _correction(session: Document) -> Iterator[Fault]:
    if "correction" in session and session.get("version") == 1:
        yield Fault("correction", "is for a version above 1; raise version, or leave correction out")


def _order(part: Document, start: str, end: str, *, at: str = "") -> Iterator[Fault]:
    if start in part and end in part and instant(part[end]) < instant(part[start]):
        yield Fault(f"{at}{end}", f"lies before {start}; correct one of them")


def _history(session: Document) -> Iterator[Fault]:
    for index, past in enumerate(session.get("history", [])):
        yield from _order(past, "started_at", "ended_at", at=f"history[{index}].")


def _withdrawn(session: Document) -> Iterator[Fault]:
    """In a session entered in error nothing stays valid."""
    if session.get("status") == WITHDRAWN:
        for name in ("readings", "symptoms", "drugs", "fluids"):
            for index, row in enumerate(session.get(name, [])):
                if row.get("state", WITHDRAWN) != WITHDRAWN:
                    yield Fault(f"{name}[{index}].state", f"must be {WITHDRAWN}, as the session is; or leave it out")
        for index, allergy in enumerate(session.get("allergies", [])):
            if allergy.get("certainty", WITHDRAWN) != WITHDRAWN:
                yield Fault(f"allergies[{index}].certainty", f"must be {WITHDRAWN}, as the session is")


def _patient_born(session: Document) -> Iterator[Fault]:
    born = session.get("patient", {}).get("birth_date")
    begun = session.get("started_at") or session.get("planned", {}).get("start")
    if born and begun and day(born) > instant(begun).date():
        yield Fault("patient.birth_date", "lies after the session; correct it")


def _drugs(session: Document) -> Iterator[Fault]:
    for index, drug in enumerate(session.get("drugs", [])):
        at = f"drugs[{index}]"
        yield from _given(drug, at, session)
        for number, step in enumerate(drug.get("steps", [])):
            yield from _order(step, "started_at", "ended_at", at=f"{at}.steps[{number}].")
            if drug.get("state") not in WITHOUT_EFFECT:
                yield from _inside(step, f"{at}.steps[{number}]", session)


def _fluids(session: Document) -> Iterator[Fault]:
    for index, fluid in enumerate(session.get("fluids", [])):
        at = f"fluids[{index}]"
        yield from _given(fluid, at, session)
        yield from _order(fluid, "started_at", "ended_at", at=f"{at}.")
        if fluid.get("state") not in WITHOUT_EFFECT:
            yield from _inside(fluid, at, session)


def _given(row: Document, at: str, session: Document) -> Iterator[Fault]:
    """State and reason of a drug or fluid."""
    state, status = row.get("state", "completed"), session.get("status")
    if "reason" in row and state not in ("stopped", "not-given"):
        yield Fault(f"{at}.reason", f"is for what was stopped or not given, not for {state}; leave it out")
    if status and status not in (*ENDED, *RUNNING, WITHDRAWN) and state not in WITHOUT_EFFECT:
        yield Fault(f"{at}.state", f"must be not-given in a session that is {status}; or correct status")


def _inside(part: Document, at: str, session: Document) -> Iterator[Fault]:
    begun, ended = (instant(session[name]) if name in session else None for name in ("started_at", "ended_at"))
    for name in ("started_at", "ended_at"):
        if name in part and _outside(instant(part[name]), begun, ended):
            yield Fault(f"{at}.{name}", "lies outside the session (started_at to ended_at); correct one of them")


def _outside(moment: datetime, begun: datetime | None, ended: datetime | None) -> bool:
    return (begun is not None and moment < begun) or (ended is not None and moment > ended)


def _reactions(session: Document) -> Iterator[Fault]:
    for index, reaction in enumerate(session.get("reactions", [])):
        yield from _order(reaction, "started_at", "ended_at", at=f"reactions[{index}].")
        yield from _order(reaction, "started_at", "reported_at", at=f"reactions[{index}].")


def _references(session: Document) -> Iterator[Fault]:
    drugs, reactions = session.get("drugs", []), session.get("reactions", [])
    yield from _leads_nowhere("reactions", reactions, "suspected_drug", [*drugs, *session.get("fluids", [])], to="drug or fluid")
    yield from _leads_nowhere("drugs", drugs, "for_reaction", reactions, to="reaction")


def _leads_nowhere(name: str, rows: list[Document], field: str, targets: list[Document], *, to: str) -> Iterator[Fault]:
    ids = {row.get("id") for row in targets}
    if None in ids:  # an id was refused already: it may be the one that is meant
        return
    for index, row in enumerate(rows):
        if field in row and row[field] not in ids:
            yield Fault(f"{name}[{index}].{field}", f"names no {to} of this session; write the id of one")


def _numbers_said_twice(session: Document) -> Iterator[Fault]:
    drugs = _ids(session, "drugs")
    for index, fluid in enumerate(session.get("fluids", [])):
        if fluid.get("id") in drugs:
            yield Fault(f"fluids[{index}].id", "is the id of a drug too; drugs and fluids share their numbers, give each its own")


def _ids(session: Document, name: str) -> set[str]:
    return {row["id"] for row in session.get(name, []) if "id" in row}


def _headache_days(window: Document) -> Iterator[Fault]:
    if not {"from", "to"} <= window.keys():
        return
    length = (day(window["to"]) - day(window["from"])).days + 1
    if length < 1:
        yield Fault("headache_days.to", "lies before from; correct one of them")
    elif window.get("days", 0) > length:
        yield Fault("headache_days.days", f"is more than the {length} days from from to to; correct one of them")


def _follow_up(follow_up: Document, *, after: str | None) -> Iterator[Fault]:
    status = follow_up.get("status")
    if status is None:
        return
    for name, other in (("start", "end"), ("end", "start")):
        if name not in follow_up and (other in follow_up or status not in MAY_LACK_TIMES):
            yield Fault(
                f"follow_up.{name}", f"is required {f'beside {other}' if other in follow_up else f'when status is {status}'}; add it"
            )
    yield from _order(follow_up, "start", "end", at="follow_up.")
    if "reason" in follow_up and status != "cancelled":
        yield Fault("follow_up.reason", "is for a cancelled appointment; leave it out")
    if after and status != WITHDRAWN and "start" in follow_up and instant(follow_up["start"]) < instant(after):
        yield Fault("follow_up.start", "lies before the end of the session it follows; correct one of them")


def _series(session: Document) -> Iterator[Fault]:
    series = session.get("series", {})
    days = series.get("days", 60)
    if series.get("day", 1) > days:
        yield Fault("series.day", "is more than series.days; correct one of them")
    if {"started_on", "ended_on"} <= series.keys() and day(series["ended_on"]) < day(series["started_on"]):
        yield Fault("series.ended_on", "lies before started_on; correct one of them")
    for index, planned in enumerate(series.get("plan", [])):
        yield from _order(planned, "start", "end", at=f"series.plan[{index}].")
        if int(planned.get("day", 1)) > days:
            yield Fault(f"series.plan[{index}].day", "is more than series.days; correct one of them")
    stay = series.get("stay", {})
    if stay and series.get("status") == "finished" and "ended_at" not in stay:
        yield Fault("series.stay.ended_at", "is required when series.status is finished; add it")
    if stay and series.get("status") == "active" and "ended_at" in stay:
        yield Fault("series.stay.ended_at", "is not for a series that is active; leave it out or correct series.status")
    yield from _order(stay, "started_at", "ended_at", at="series.stay.")
    yield from _within_stay(session, stay)


def _within_stay(session: Document, stay: Document) -> Iterator[Fault]:
    if "started_at" in stay:
        admitted, discharged = (instant(stay[name]) if name in stay else None for name in ("started_at", "ended_at"))
        for name in ("started_at", "ended_at"):
            if name in session and _outside(instant(session[name]), admitted, discharged):
                yield Fault(name, "lies outside the hospital stay (series.stay); correct one of them")
