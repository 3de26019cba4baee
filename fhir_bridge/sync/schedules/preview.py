"""What a run would do, with nothing stored and nothing sent: hospitals are only asked and read from."""

from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital import words
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.store import archive, dead_letters, fetches, hospitals, pulls
from fhir_bridge.store.rows import Delivery, Lease
from fhir_bridge.store.schedule_runs import WORKS, Order
from fhir_bridge.sync import pull as pulling
from fhir_bridge.sync import reconcile as reconciling
from fhir_bridge.sync import routes
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.deliver import planned_now
from fhir_bridge.sync.delivery import statement
from fhir_bridge.sync.delivery.job import Job, Outage, Overtaken
from fhir_bridge.sync.referrals import messages
from fhir_bridge.sync.schedules.run import Tell
from fhir_bridge.sync.telling import subscriptions

SHOWN = 100  # of what there may be more: deliveries of a hospital, orders to fetch
MOST_COUNTED = 10_000


def preview(bridge: Bridge, order: Order, *, older_than: int | None = None, tell: Tell = lambda _: None) -> list[dict[str, Any]]:
    """Each part the run would have, `{work, hospital, …, why?}`: `why` where nothing would be done.

    A push: `deliveries: [{id, record, version, plan?, words, why?}]`, `more`, and `fetches`: orders of Tasks that would be fetched first.
    A pull: `ways`, `cursors`, `unfinished`, by type how it would be read and up to which of the hospital's times it was, `counts`: what
    would become of the entries, `subscriptions`: of which types the hospital would be asked to tell, `notes`.
    A reconciliation: its `pull` like that; `links` it would compare, and of the first `compared` their `counts` and `finds`.
    The archive: `before`, `archived`, `more`.
    """
    legs = [(work, hospital) for work in WORKS[order.what] for hospital in order.hospitals or ("",)]
    return [_part(bridge, order.tenant, work, hospital, older_than, tell) for work, hospital in legs]


def _part(bridge: Bridge, tenant: str, work: str, name: str, older_than: int | None, tell: Tell) -> dict[str, Any]:
    told: dict[str, Any] = {"work": work, "hospital": name}
    tell(f"{work} {name}")
    try:
        if work == "archive":
            return told | _archive(bridge, tenant, older_than or 0)
        if name not in bridge.hospitals:
            return told | {"why": "no hospital of that name is configured any more"}
        able = statement.without_keeping(bridge, tenant=tenant, hospital=bridge.hospitals[name])
        if isinstance(able, Outage):
            return told | {"why": f"the hospital is out: {able.reason}"}
        return told | _AT_A_HOSPITAL[work](bridge, tenant, name, able, tell)
    except BridgeError as error:
        return told | {"why": str(error)}


def _push(bridge: Bridge, tenant: str, name: str, able: Capabilities, tell: Tell) -> dict[str, Any]:
    with bridge.store.reading() as tx:
        now, state = tx.now, hospitals.of(tx, tenant, name)
        here = [name, *routes.addresses_beside(tx, tenant, name)]
        due = [one for each in here for one in dead_letters.due(tx, tenant, each, now, limit=SHOWN + 1)]
        asked = [one.id for one in fetches.due(tx, tenant, limit=SHOWN + 1)]
    told: dict[str, Any] = {"deliveries": [_delivery(bridge, each, able) for each in due[:SHOWN]], "fetches": asked[:SHOWN]}
    told["more"] = max(len(due), len(asked)) > SHOWN
    if state.paused_at:
        return told | {"why": f"paused, nothing would be sent: {state.paused_why}"}
    if state.retry_at and state.retry_at > now:
        return told | {"why": f"out, nothing would be sent before {state.retry_at.isoformat()}: {state.why_open}"}
    return told


def _delivery(bridge: Bridge, delivery: Delivery, able: Capabilities) -> dict[str, Any]:
    told: dict[str, Any] = {"id": delivery.id, "record": f"{delivery.kind}/{delivery.record_id}", "version": delivery.version}
    lease = Lease(delivery.tenant, delivery.hospital, delivery.lane, 0, delivery.created_at, "preview")
    if errand := messages.errand(bridge, lease, delivery):
        return told | {"words": [f"one message to {errand.to}"]}
    job = Job(bridge, lease, delivery, bridge.sites[delivery.tenant], bridge.hospitals[delivery.hospital], able)
    try:
        found = planned_now(job, dry=True)
    except BridgeError as error:
        return told | {"words": [], "why": f"it would stop for a person: {error}"}
    if isinstance(found, Overtaken):
        return told | {"words": [], "why": "nothing would be sent: a newer version takes its place"}
    planned, _ = found
    told |= {"plan": words.data(planned), "words": words.lines(planned)}
    return told | ({"why": "the last call may have been carried out, so it is looked for first"} if delivery.state == "ambiguous" else {})


def _pull(bridge: Bridge, tenant: str, name: str, able: Capabilities, tell: Tell) -> dict[str, Any]:
    # it knows the capabilities already, so that it need not ask for them and keep them
    hospital = replace(bridge.hospitals[name], known={tenant: (bridge.clock(), able)})
    asked = replace(bridge, hospitals={**bridge.hospitals, name: hospital})

    def say(words: str) -> None:
        tell(f"{name}: {words}")

    found = pulling.pull(asked, tenant=tenant, hospital=name, dry_run=True, tell=say)
    with bridge.store.reading() as tx:
        read = {one.type: one for one in pulls.listing(tx, tenant, name)}
    cursors = {type: one.watermark.isoformat() for type, one in read.items() if one.watermark}
    unfinished = [type for type, one in read.items() if one.next_page]
    return {
        "ways": found.ways,
        "cursors": cursors,
        "unfinished": unfinished,
        "counts": found.counts | found.applied,
        "subscriptions": subscriptions.unheard(bridge, tenant=tenant, hospital=name, capabilities=able),
        "notes": list(found.notes),
    }


def _reconcile(bridge: Bridge, tenant: str, name: str, able: Capabilities, tell: Tell) -> dict[str, Any]:
    found = reconciling.foresee(bridge, tenant=tenant, hospital=name, capabilities=able, tell=tell)
    return asdict(found) | {"pull": _pull(bridge, tenant, name, able, tell)}


def _archive(bridge: Bridge, tenant: str, days: int) -> dict[str, Any]:
    with bridge.store.reading() as tx:
        before = tx.now - timedelta(days=days)
        found = archive.count(tx, tenant, before=before, most=MOST_COUNTED + 1)
    return {"before": before.isoformat(), "archived": min(found, MOST_COUNTED), "more": found > MOST_COUNTED}


_AT_A_HOSPITAL = {"push": _push, "pull": _pull, "reconcile": _reconcile}
