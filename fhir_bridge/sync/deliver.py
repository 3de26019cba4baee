"""A record goes out: a lane is leased, each of its deliveries is mapped, planned and sent step by step, and its end written down.

Nothing is sent before an attempt without an outcome was looked into (`look`), and every finishing write shows the lease's token:
a worker that was overtaken writes nothing.
"""

import logging
from collections.abc import Callable

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.faults import fault_point
from fhir_bridge.hospital.parts import Link
from fhir_bridge.hospital.plan import Plan, plan
from fhir_bridge.store import outbox, records
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.outbox import Attempt, Delivery, Lease, LeaseLost
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.convert import checked, summed_up
from fhir_bridge.sync.delivery import call, held, look, newer, visible
from fhir_bridge.sync.delivery.dispatch import Lane
from fhir_bridge.sync.delivery.job import Done, End, Job, Outage, Overtaken, Stopped, Wait
from fhir_bridge.sync.delivery.settle import settle
from fhir_bridge.sync.delivery.statement import capabilities
from fhir_bridge.sync.delivery.steps import take_all
from fhir_bridge.sync.pulling import leave
from fhir_bridge.sync.referrals import messages
from fhir_bridge.sync.referrals import theirs as refer_theirs
from fhir_bridge.sync.referrals.messages import Errand

Ended = Callable[[Delivery, End], object]
DEADLY = 3  # a delivery at whose hands so many workers died is not tried by another

log = logging.getLogger(__name__)


def work_once(
    bridge: Bridge,
    *,
    worker: str,
    lane: Lane | None = None,
    stopping: Callable[[], bool] = lambda: False,
    ended: Ended = lambda *_: None,
) -> bool:
    """Lease one lane (this `lane`, or the one due the longest) and drain it; False when there was nothing to do.

    `worker` names this process in the attempts; `ended` hears how each delivery's run ended.
    """
    lease = take(bridge, worker=worker, lane=lane)
    if lease is not None:
        work_on(bridge, lease, stopping=stopping, ended=ended)
    return lease is not None


def take(bridge: Bridge, *, worker: str, lane: Lane | None = None) -> Lease | None:
    """The lease of `lane`, or of the one that is due the longest; None when there is nothing to do."""
    with bridge.store.transaction() as tx:
        lease = _lease(tx, bridge, worker, lane)
        fault_point("O1")
    return lease


def work_on(bridge: Bridge, lease: Lease, *, stopping: Callable[[], bool] = lambda: False, ended: Ended = lambda *_: None) -> None:
    """Drain the leased lane, unless another worker takes it over meanwhile."""
    fault_point("O2")
    try:
        drain(bridge, lease, stopping=stopping, ended=ended)
    except LeaseLost:
        log.warning("lane %s/%s was taken over by another worker", lease.hospital, lease.lane)


def _lease(tx: Transaction, bridge: Bridge, worker: str, lane: Lane | None) -> Lease | None:
    if lane is None:
        return outbox.lease(tx, worker=worker, seconds=bridge.lease_seconds)
    tenant, hospital, name = lane
    return outbox.lease_lane(tx, tenant=tenant, hospital=hospital, lane=name, worker=worker, seconds=bridge.lease_seconds)


def answer(bridge: Bridge, lane: Lane, *, worker: str, stopping: Callable[[], bool]) -> None:
    """Drain `lane` until nothing in it is due. Again after each release: what came in the last moment found the lane taken."""
    while not stopping() and work_once(bridge, worker=worker, lane=lane, stopping=stopping):
        pass


def drain(bridge: Bridge, lease: Lease, *, stopping: Callable[[], bool] = lambda: False, ended: Ended = lambda *_: None) -> None:
    """Run the lane's deliveries in order until none is due, the hospital is out, or we are asked to stop; then give it back."""
    while not stopping():
        with bridge.store.reading() as tx:
            if not outbox.holds(tx, lease):  # given back with the last delivery's end
                return
            delivery = outbox.next_delivery(tx, lease, tx.now)
        if delivery is None:
            break
        end = deliver(bridge, lease, delivery)
        ended(delivery, end)
        if isinstance(end, Outage) or lease.probe:
            break
    with bridge.store.transaction() as tx:
        outbox.release(tx, lease)


def deliver(bridge: Bridge, lease: Lease, delivery: Delivery) -> End:
    """Bring one delivery to an end, which is written down; raises `LeaseLost`."""
    if delivery.worker_deaths >= DEADLY:
        return _settled(bridge, lease, delivery, Stopped("worker-deaths"))
    job = messages.errand(bridge, lease, delivery) or _job(bridge, lease, delivery)
    if not isinstance(job, Job | Errand):
        return _settled(bridge, lease, delivery, job)
    try:
        end = messages.run(job) if isinstance(job, Errand) else _run(job)
    except LeaseLost:
        raise
    except Refused as refused:  # what was fit for sending when it was accepted no longer is: the mapping changed
        end = Stopped("unmappable", refused.faults)
    except Exception as error:
        log.exception("delivery %s failed", delivery.id)
        end = Wait(f"the bridge itself failed: {type(error).__name__}", doubt=_open_attempt(bridge, delivery) is not None)
    return end if isinstance(end, Done) else _settled(bridge, lease, delivery, end)


def _settled(bridge: Bridge, lease: Lease, delivery: Delivery, end: End) -> End:
    with bridge.store.transaction() as tx:
        settle(tx, bridge, lease=lease, delivery=delivery, end=end)
    return end


def _job(bridge: Bridge, lease: Lease, delivery: Delivery) -> Job | End:
    site, hospital = bridge.sites.get(delivery.tenant), bridge.hospitals.get(delivery.hospital)
    if site is None or hospital is None:
        return Wait("the site or the hospital is not configured any more", after=600, counted=False, doubt=delivery.state == "ambiguous")
    try:
        found = capabilities(bridge, tenant=delivery.tenant, hospital=hospital)
    except Refused as refused:
        return Outage(f"its CapabilityStatement is of no use: {refused.faults[0]}", doubt=delivery.state == "ambiguous")
    if isinstance(found, Outage):
        return Outage(found.reason, after=found.after, doubt=delivery.state == "ambiguous")
    return Job(bridge, lease, delivery, site, hospital, found)


def _run(job: Job) -> End:
    if isinstance(found := planned_now(job), Overtaken):
        return found
    planned, links = found
    if attempt := _open_attempt(job.bridge, job.delivery):
        writes = next((step.writes for step in planned.steps if call.label(step) == attempt.step), None)
        if writes is None:  # the mapping or the hospital changed since: look for everything
            writes = tuple(write for step in planned.steps for write in step.writes)
        if (end := look.verify(job, attempt, writes=writes, links=links)) is not None:
            return end
        if isinstance(found := planned_now(job), Overtaken):
            return found
        planned, links = found
    return take_all(job, planned, links)


def planned_now(job: Job, *, dry: bool = False) -> tuple[Plan, dict[str, Link]] | Overtaken:
    """How the delivery's record goes to its hospital, from what that held when last seen, and what that was.

    What it did not show before is looked at again, and stored; a `dry` run only reads what is stored. Raises `Refused` when the
    record no longer maps.
    """
    delivery = job.delivery
    with job.bridge.store.reading() as tx:
        stored = records.version(tx, delivery.tenant, delivery.kind, delivery.record_id, delivery.version)
    assert stored is not None, "a delivery's record is there by foreign key"  # noqa: S101
    record = summed_up(job.site.mapping, documents.loads(stored.document, max_bytes=len(stored.document)))
    fresh = job.site.mapping.to_fhir(record)
    keys = [f"{resource['resourceType']}/{resource['id']}" for resource in fresh.resources]
    links = held.load(job, keys)
    if (left := leave.standing(job, stored, keys, dry=dry)) is None:
        return Overtaken()
    links = links if dry else visible.looked(job, fresh.resources, links)
    onto, theirs = refer_theirs.apart(job.site, held.as_ours(links))
    written = checked(job.site.mapping.to_fhir(record, onto=onto) if onto else fresh)
    resources, alone = written.resources, left.alone
    if left.fields:
        resources, alone = leave.as_it_stands(job.site, left, record, onto, kind=stored.kind, resources=resources)
    resources, alone = refer_theirs.within(theirs, resources, alone)
    retracted = [one for one in held.only_here(job, written.retracted) if f"{one['resourceType']}/{one['id']}" not in alone]
    stands = newer.stands(job, stored, resources, links, alone=alone)
    return plan(job.capabilities, resources, stands, retracted=retracted), links


def _open_attempt(bridge: Bridge, delivery: Delivery) -> Attempt | None:
    with bridge.store.reading() as tx:
        return outbox.open_attempt(tx, delivery)
