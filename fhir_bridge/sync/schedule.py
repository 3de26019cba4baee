"""When a site's syncs run, and the taking of a due time: whoever takes it has the run, and what was missed is answered with it, once."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store import audit, schedule_runs, schedules
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.schedule_runs import Order, Run
from fhir_bridge.store.schedules import Schedule, Wanted
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedules import run, times

WHAT = tuple(schedule_runs.WORKS)
OLDER_THAN = 90  # days, for an archive that says nothing else
WANTED_AGAIN = timedelta(minutes=10)  # after a pull that was wanted soon and failed


@dataclass(frozen=True, slots=True)
class Named:
    """A schedule by its site and name."""

    tenant: str
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants scheduled. `hospitals` None: all the site has, also those it will have."""

    what: str
    cron: str
    hospitals: tuple[str, ...] | None = None
    older_than: int | None = None


def add(bridge: Bridge, named: Named, wish: Wish, *, who: str) -> Schedule:
    """Raises `Refused` with every fault at once, and when the site has one of that name."""
    zone = _zone(bridge, named.tenant)
    cron = _checked(bridge, named, wish)
    older_than = (wish.older_than or OLDER_THAN) if wish.what == "archive" else None
    with bridge.store.transaction() as tx:
        schedule_runs.hold(tx, named.tenant)
        now = tx.now
        made = Schedule(
            named.tenant, named.name, wish.what, wish.hospitals, cron, times.name_of(zone), made_at=now, made_by=who,
            next_at=times.next_after(cron, zone, now), older_than=older_than,
        )  # fmt: skip
        if not schedules.add(tx, made):
            raise Refused([Fault("name", "the site has a schedule of that name; remove it first, or take another name")])
        detail = {"what": wish.what, "cron": cron, "hospitals": list(wish.hospitals or ())}
        _audit(bridge, tx, named, "schedule-added", who, detail)
    return made


def pause(bridge: Bridge, named: Named, *, who: str, why: str) -> None:
    """It is not due until it is resumed; a run under way ends as it would. Raises `Refused`."""
    with bridge.store.transaction() as tx:
        found = _held(tx, named)
        if found.paused_at is not None:
            raise Refused([Fault("name", "is paused already; `fhir-bridge schedule list` says by whom and why")])
        schedules.pause(tx, found, who=who, why=why, now=tx.now)
        _audit(bridge, tx, named, "schedule-paused", who, {"why": why})


def resume(bridge: Bridge, named: Named, *, who: str) -> Schedule:
    """It is due again from now on; what passed meanwhile is not caught up. Raises `Refused`."""
    zone = _zone(bridge, named.tenant)
    with bridge.store.transaction() as tx:
        found = _held(tx, named)
        if found.paused_at is None:
            raise Refused([Fault("name", "is not paused")])
        next_at = times.next_after(found.cron, zone, tx.now)
        schedules.move(tx, found, next_at=next_at, zone=times.name_of(zone))
        _audit(bridge, tx, named, "schedule-resumed", who, {})
    return replace(found, next_at=next_at, paused_at=None, paused_by=None, paused_why=None)


def remove(bridge: Bridge, named: Named, *, who: str) -> None:
    """Its history stays. Raises `Refused`."""
    with bridge.store.transaction() as tx:
        schedules.remove(tx, _held(tx, named))
        _audit(bridge, tx, named, "schedule-removed", who, {})


def rezoned(bridge: Bridge) -> None:
    """Work the next times out anew where a site's zone is another since; a time that has come stays due."""
    for site in bridge.sites.values():
        zone = _zone(bridge, site.name)
        with bridge.store.transaction() as tx:
            schedule_runs.hold(tx, site.name)
            now = tx.now
            for each in schedules.listing(tx, site.name):
                if each.next_at and each.next_at > now and each.zone != times.name_of(zone):
                    next_at = times.next_after(each.cron, zone, now)
                    schedules.move(tx, each, next_at=next_at, zone=times.name_of(zone))


def due(bridge: Bridge) -> tuple[list[Schedule], list[Wanted], list[str]]:
    """What is to be started now: schedules and wanted pulls of sites and hospitals there are; and the sites with a run fallen silent."""
    with bridge.store.reading() as tx:
        now: datetime = tx.now
        waiting = [each for each in schedules.due(tx, now) if each.tenant in bridge.sites]
        there = {(site.name, hospital) for site in bridge.sites.values() for hospital in site.hospitals}
        wanted = [each for each in schedules.wanted(tx, now) if (each.tenant, each.hospital) in there]
        return waiting, wanted, schedule_runs.silent(tx, now)


def take(bridge: Bridge, due: Schedule) -> Run | None:
    """Begin the run that is due; None when another took it. The schedule's next time is the first after now.

    Raises `schedule_runs.Busy` when the same work is under way: it stays due.
    """
    zone = _zone(bridge, due.tenant)
    with bridge.store.transaction() as tx:
        schedule_runs.hold(tx, due.tenant)
        found = schedules.one(tx, due.tenant, due.name)
        if found is None or found.next_at is None or found.next_at > tx.now:
            return None
        order = order_of(bridge, found, actor="scheduler")
        now = schedule_runs.claim(tx, order)
        missed = times.missed(found.cron, zone, due=found.next_at, now=now)
        answering = replace(order, due_at=found.next_at, missed=missed)
        begun = schedule_runs.start(tx, answering, now=now, worker=run.worker_name(), seconds=bridge.lease_seconds)
        # from the run's own beginning on, so that no time lies between what it answers and what the next one does
        schedules.move(tx, found, next_at=times.next_after(found.cron, zone, now), zone=times.name_of(zone))
    return begun


def take_wanted(bridge: Bridge, pulls: Wanted) -> tuple[Run, Wanted]:
    """Begin a pull that was wanted soon, and what to say when it has succeeded. Raises `schedule_runs.Busy`."""
    with bridge.store.transaction() as tx:
        order = Order(pulls.tenant, "pull", (pulls.hospital,), actor="notification")
        begun = schedule_runs.begin(tx, order, worker=run.worker_name(), seconds=bridge.lease_seconds)
        return begun, schedules.put_off(tx, pulls, until=begun.started_at + WANTED_AGAIN)


def pull_soon(tx: Transaction, tenant: str, hospital: str, type: str) -> None:
    """Have `type` of `hospital` pulled by the scheduler as soon as may be; however often this is said meanwhile, once."""
    schedules.want_pull(tx, tenant=tenant, hospital=hospital, type=type, now=tx.now)


def order_of(bridge: Bridge, schedule: Schedule, *, actor: str) -> Order:
    """The run a schedule asks for, at the hospitals the site has now."""
    site = bridge.sites[schedule.tenant]
    hospitals = () if schedule.what == "archive" else site.hospitals if schedule.hospitals is None else schedule.hospitals
    return Order(schedule.tenant, schedule.what, tuple(hospitals), actor, schedule=schedule.name)


def found(bridge: Bridge, named: Named) -> Schedule:
    """Raises `Refused` when the site has none of that name."""
    with bridge.store.reading() as tx:
        return _found(tx, named)


def listing(bridge: Bridge, *, tenant: str | None = None) -> list[tuple[Schedule, Run | None]]:
    """Every schedule with its last run."""
    with bridge.store.reading() as tx:
        return [(each, _last(tx, each)) for each in schedules.listing(tx, tenant)]


def next_in_words(schedule: Schedule, zone: tzinfo) -> str:
    """`every day at 02:30, next Monday 23 November 2026 02:30 America/New_York`."""
    said = times.in_words(schedule.cron)
    return f"{said}, next {times.moment_in_words(schedule.next_at, zone)}" if schedule.next_at else f"{said}, paused"


def zone_of(bridge: Bridge, tenant: str) -> tzinfo:
    """The zone of a site's schedules; that of one which is not configured any more is UTC."""
    site = bridge.sites.get(tenant)
    return times.zone_of(site.zone if site else None)


def _last(tx: Transaction, schedule: Schedule) -> Run | None:
    return next(iter(schedule_runs.history(tx, schedule.tenant, schedule=schedule.name, limit=1)), None)


def _checked(bridge: Bridge, named: Named, wish: Wish) -> str:
    faults: list[Fault] = []
    cron = ""
    try:
        cron = times.checked(wish.cron)
    except Refused as refused:
        faults += refused.faults
    if not named.name.replace("-", "").replace("_", "").isalnum():
        faults.append(Fault("name", "is letters, digits, - and _ only"))
    unknown = sorted(set(wish.hospitals or ()) - set(bridge.sites[named.tenant].hospitals))
    faults += [Fault("hospital", f"the site has none called {name!r}") for name in unknown]
    if wish.what == "archive" and wish.hospitals:
        faults.append(Fault("hospital", "the archive is of the whole site; name none"))
    if wish.what != "archive" and wish.older_than is not None:
        faults.append(Fault("older-than", "is for the archive only"))
    if faults:
        raise Refused(faults)
    return cron


def _zone(bridge: Bridge, tenant: str) -> tzinfo:
    if tenant not in bridge.sites:
        raise Refused([Fault("site", f"no site {tenant!r} is set; known: {', '.join(bridge.sites)}")])
    return zone_of(bridge, tenant)


def _held(tx: Transaction, named: Named) -> Schedule:
    schedule_runs.hold(tx, named.tenant)
    return _found(tx, named)


def _found(tx: Transaction, named: Named) -> Schedule:
    if (found := schedules.one(tx, named.tenant, named.name)) is None:
        raise Refused([Fault("name", "the site has no schedule of that name; `fhir-bridge schedule list` tells them")])
    return found


def _audit(bridge: Bridge, tx: Transaction, named: Named, action: str, who: str, detail: dict[str, Any]) -> None:
    audit.write(
        tx, tenant=named.tenant, actor=who, action=action, subject=f"schedule/{named.name}", detail=detail, now=tx.now, key=bridge.audit_key
    )  # fmt: skip
