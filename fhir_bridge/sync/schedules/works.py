"""What a run does at one hospital, by the name of the work. Each is the ordinary use case; here it is only counted and told."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from fhir_bridge.store import dead_letters, hospitals, outbox
from fhir_bridge.store.outbox import Delivery
from fhir_bridge.sync import archiving, routes
from fhir_bridge.sync import pull as pulling
from fhir_bridge.sync import reconcile as reconciling
from fhir_bridge.sync.deliver import Ended, work_once
from fhir_bridge.sync.delivery.job import Done, End, Outage, Overtaken, Stopped
from fhir_bridge.sync.pulling.mode import TYPES
from fhir_bridge.sync.pulling.run import Stop
from fhir_bridge.sync.referrals import fetch, resume, unread
from fhir_bridge.sync.schedules.run import Leg, PartFailed, Work
from fhir_bridge.sync.telling import subscriptions

AT_ONCE = 100  # lanes looked up at a time


def push(leg: Leg) -> Mapping[str, int]:
    """Deliver everything of the site that was due at the hospital when the run began.

    Counts `delivered`, `stopped`, `superseded`, `retried` (ended in a wait), and `waiting`: what is open there at the end.
    Raises `PartFailed` when the hospital cannot be reached.
    """
    _require_hospital(leg)
    counts: Counter[str] = Counter()
    outages: list[str] = []

    def ended(delivery: Delivery, end: End) -> None:
        counts[_name(end)] += 1
        if isinstance(end, Outage):
            outages.append(end.reason)
        leg.tell(f"{delivery.kind}/{delivery.record_id} version {delivery.version} to {leg.hospital}: {_name(end)}")

    resume.resume_due(leg.bridge)
    unread.catch_up(leg.bridge, leg.run.tenant)
    while not leg.stopping() and fetch.fetch_due(leg.bridge):
        leg.tell("the order of a Task was fetched at its sender")
    while _once_more(leg, ended):
        pass
    counts["waiting"], why = _left(leg)
    if outages or why:
        raise PartFailed(f"the hospital is out: {why or outages[-1]}", counts)
    return counts


def pull(leg: Leg) -> Mapping[str, int]:
    """Read what changed at the hospital and apply it, and have it notify us where it offers that.

    Counts what `sync.pull` counts, and what became of the changes.
    Raises `PartFailed` when not every type was read to its end.
    """

    counts, troubles = Counter[str](), list[str]()
    for type in leg.types or TYPES:
        if leg.stopping():
            break
        found = pulling.pull(leg.bridge, tenant=leg.run.tenant, hospital=leg.hospital, types=[type], tell=_told(leg))
        counts.update(found.counts)
        counts.update(found.applied)
        troubles += () if found.whole else found.notes
    if leg.stopping():
        return counts
    if troubles:
        raise PartFailed("; ".join(dict.fromkeys(troubles)), counts)
    if not leg.types:
        for words in subscriptions.keep(leg.bridge, tenant=leg.run.tenant, hospital=leg.hospital):
            leg.tell(f"{leg.hospital}: {words}")
    return counts


def reconcile(leg: Leg) -> Mapping[str, int]:
    """Compare everything we believe with everything the hospital holds; what is found is counted, and repaired by a person's command.

    Counts what `sync.reconcile` counts, and `pull_missed`. Raises `PartFailed` when the hospital did not answer everything.
    """
    who = leg.run.schedule or leg.run.actor
    try:
        found = reconciling.reconcile(leg.bridge, tenant=leg.run.tenant, hospital=leg.hospital, who=who, tell=_told(leg))
    except Stop:
        return {}
    counts = {**found.counts, "pull_missed": found.pull_missed}
    if not found.whole and not leg.stopping():
        raise PartFailed("; ".join(found.notes) or "the hospital did not answer everything", counts)
    return counts


def archive(leg: Leg) -> Mapping[str, int]:
    """Put away what was finished more than `older_than` days ago. Counts `archived`."""
    with leg.bridge.store.reading() as tx:
        before = tx.now - timedelta(days=leg.older_than or 0)
    return {"archived": archiving.of_tenant(leg.bridge, leg.run.tenant, before=before, who=f"run/{leg.run.number}")}


WORKS: Mapping[str, Work] = {"push": push, "pull": pull, "reconcile": reconcile, "archive": archive}


def _told(leg: Leg) -> Callable[[str], None]:
    """Hears how far a reading is, and ends it between two of its pages when the run is asked to stop."""

    def tell(words: str) -> None:
        leg.tell(f"{leg.hospital}: {words}")
        if leg.stopping():
            raise Stop("asked to stop; the next one goes on here")

    return tell


def _once_more(leg: Leg, ended: Ended) -> bool:
    """Work on the lanes that were due when the run began, or it would not end while a clinic posts; False when none is left."""
    with leg.bridge.store.reading() as tx:
        here = [leg.hospital, *routes.addresses_beside(tx, leg.run.tenant, leg.hospital)]
        due = [outbox.due(tx, limit=AT_ONCE, at=(leg.run.tenant, name), since=leg.run.started_at) for name in here]
    worked = False
    for lane in (lane for lanes in due for lane in lanes):
        if leg.stopping():
            return False
        worked |= work_once(leg.bridge, worker=leg.worker, lane=lane, stopping=leg.stopping, ended=ended)
    return worked


def _left(leg: Leg) -> tuple[int, str | None]:
    """How many deliveries to the hospital are open and not stopped, and why its breaker is open, when it is."""
    with leg.bridge.store.reading() as tx:
        here = (leg.run.tenant, leg.hospital)
        still = sum(count for (*of, state), count in dead_letters.counts(tx).items() if tuple(of) == here and state != "dead")
        return still, hospitals.of(tx, *here).why_open


def _name(end: End) -> str:
    match end:
        case Done():
            return "delivered"
        case Stopped():
            return "stopped"
        case Overtaken():
            return "superseded"
        case _:
            return "retried"


def _require_hospital(leg: Leg) -> None:
    if leg.hospital not in leg.bridge.hospitals:
        raise PartFailed("no hospital of that name is configured any more")
