"""A hospital that changes what it holds, and a pull of it."""

from datetime import timedelta
from typing import Any

from ward import Ward, post, work

from fhir_bridge.store import links, pulls
from fhir_bridge.store.pulls import Known
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pull import Pulled, pull

SOON = timedelta(minutes=1)


def short(session: dict[str, Any]) -> dict[str, Any]:
    """The same visit with one reading and no drugs: what a pull does with it, it does with all."""
    names = ("id", "version", "status", "care_setting", "patient", "started_at", "ended_at", "follow_up")
    return {name: session[name] for name in names} | {"readings": session["readings"][:2]}


def delivered(bridge: Bridge, session: dict[str, Any]) -> None:
    """The session, in short, is at the hospital."""
    post(bridge, short(session))
    work(bridge)


def pulled(bridge: Bridge, *types: str, **options: Any) -> Pulled:
    """A pull of these types, all without any."""
    return pull(bridge, tenant="default", hospital="general", types=types or None, **options)


def change(hospital: Ward, kind: str, *, number: int = 0, **fields: Any) -> str:
    """The hospital changes one resource it holds, the way its own people do; returns its `Type/id`."""
    with hospital.chart.draft() as draft:
        found = sorted((version for version in draft.every(kind)), key=lambda version: version.id)[number]
        draft.write(kind, found.id, document={**(found.document or {}), **fields}, method="PUT")
    return found.path


def delete(hospital: Ward, kind: str, *, number: int = 0) -> str:
    """The hospital deletes one."""
    with hospital.chart.draft() as draft:
        found = sorted((version for version in draft.every(kind)), key=lambda version: version.id)[number]
        draft.write(kind, found.id, document=None, method="DELETE")
    return found.path


def state(bridge: Bridge, theirs: str) -> Known | None:
    """What a pull saw last of a resource."""
    kind = theirs.partition("/")[0]
    with bridge.store.reading() as tx:
        row = pulls.of(tx, "default", "general", kind)
        seen = [one for one in pulls.known(tx, row, [theirs]).get(theirs, []) if not one.ours]
    return seen[0] if seen else None


def link_version(bridge: Bridge, theirs: str) -> str | None:
    """The version our link holds."""
    with bridge.store.reading() as tx:
        [found] = links.by_theirs(tx, "default", "general", theirs)
    return found.version
