"""The orders of Tasks are fetched at their senders, with what they refer to, and taken in as if they had been sent along.

What belongs to the order is read at the same FHIR base and nowhere else, a bounded number of resources; documents are not. The order
and its patient must be there; of the rest, what is not there is left out.
"""

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from threading import Event
from typing import Any

from fhir_bridge import documents
from fhir_bridge.errors import BridgeError, Refused
from fhir_bridge.hospital import retry
from fhir_bridge.hospital.exchange import FHIR_JSON, Call, NoReply, Reply
from fhir_bridge.store import audit, clients, fetches, senders
from fhir_bridge.store.database import StoreError, Transaction
from fhir_bridge.store.fetches import Fetch
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import focus, match, resume, unread
from fhir_bridge.sync.referrals import theirs as refer_theirs
from fhir_bridge.sync.referrals.answers import Held
from fhir_bridge.sync.referrals.shape import TASK, Incoming

Resource = dict[str, Any]
Get = Callable[[str], Reply | NoReply]
MOST = 25
LEASE_SECONDS = 300
GIVE_UP_AFTER = timedelta(days=3)
IDLE_SECONDS = 1.0
LEARN_EVERY = 10  # turns
#: of each type, the elements whose targets belong to a referral
_FOLLOWED: Mapping[str, tuple[str, ...]] = {
    "Task": ("requester",),
    "ServiceRequest": ("subject", "requester", "reasonReference", "insurance", "supportingInfo"),
    "PractitionerRole": ("practitioner", "organization"),
    "Coverage": ("payor",),
}
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}")

log = logging.getLogger(__name__)


class Later(BridgeError):
    """The sender's server cannot be asked now."""


class Never(BridgeError):
    """It cannot be had."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    url: str
    required: bool


def fetch_due(bridge: Bridge) -> bool:
    """Fetch the order that has been due the longest; False when none is."""
    with bridge.store.reading() as tx:
        if not fetches.is_due(tx):
            return False
    with bridge.store.transaction() as tx:
        claimed = fetches.claim(tx, seconds=LEASE_SECONDS)
    if claimed is None:
        return False
    try:
        _take(bridge, claimed)
    except Later as later:
        _again(bridge, claimed, str(later))
    except Never as never:
        _give_up(bridge, claimed, str(never))
    except Refused as refused:
        _give_up(bridge, claimed, "what is there is no referral: " + "; ".join(map(str, refused.faults)))
    return True


def keep_fetching(bridge: Bridge, stop: Event) -> None:
    """Until `stop` is set; beside it, who is known is kept up to date. A database that cannot be reached is waited for."""
    for turn in count():
        if stop.wait(IDLE_SECONDS):
            return
        try:
            resume.resume_due(bridge)
            while not stop.is_set() and (unread.read_due(bridge) or fetch_due(bridge)):
                pass
            if turn % LEARN_EVERY == 0:  # so that the next referral need not
                for tenant in bridge.sites:
                    match.catch_up(bridge, tenant)
        except StoreError as error:
            log.warning("the database refused: %s", error)


def gather(get: Get, task: Resource, url: str) -> Resource:
    """A Bundle of `task`, the order at `url` and what belongs to it, each under its own address. Raises `Later`, `Never`."""
    base = url.rsplit("/", 2)[0]
    found: dict[str, Resource] = {}
    wanted = deque([_Wanted(url, True), *(_Wanted(one, False) for one in _targets(task, base))])
    seen: set[str] = set()
    while wanted and len(seen) < MOST:
        next_ = wanted.popleft()
        if next_.url in seen:
            continue
        seen.add(next_.url)
        if (resource := _got(get, next_)) is not None:
            found[next_.url] = resource
            subject = _url(resource.get("subject"), base) if next_.url == url else None
            wanted.extend(_Wanted(one, one == subject) for one in _targets(resource, base))
    entries = [{"fullUrl": f"{base}/Task/{task['id']}" if "id" in task else "urn:uuid:" + _NAMELESS, "resource": task}]
    return {"resourceType": "Bundle", "type": "collection", "entry": [*entries, *({"fullUrl": k, "resource": v} for k, v in found.items())]}


_NAMELESS = "00000000-0000-4000-8000-000000000000"


def _take(bridge: Bridge, claimed: Fetch) -> None:
    with bridge.store.reading() as tx:
        client = clients.of_id(tx, claimed.tenant, claimed.client)
        sender = senders.of(tx, claimed.tenant, claimed.client)
        may = client is not None and client.revoked_at is None and focus.allowed(bridge, tx, client, claimed.url)
    if client is None or not may:
        raise Never("the sender may not name this address any more")
    task = documents.loads(claimed.body, max_bytes=len(claimed.body))
    get = _getter(bridge, sender.hospital, claimed.url)
    bundle = gather(get, task, claimed.url)
    theirs = _theirs(get, bundle, task, claimed.url) if focus.hospital_of(bridge, sender.hospital, claimed.url) else {}

    def adopt(tx: Transaction, referral: str, found: Held) -> None:
        if sender.hospital:
            refer_theirs.adopt(tx, claimed.tenant, hospital=sender.hospital, referral=referral, found=found, theirs=theirs)

    body = documents.dumps(bundle)
    referral = refer.take_fetched(bridge, client, Incoming(TASK, body, bundle, claimed.base), adopt)
    with bridge.store.transaction() as tx:
        fetches.settle(tx, claimed, state="fetched", next_at=None, why=None, referral=referral, answer=body)


def _theirs(get: Get, bundle: Resource, task: Resource, url: str) -> dict[str, Resource]:
    """The hospital's own order, its patient, and its Task if it has one of the id that was sent, about this order."""
    base, shown = url.rsplit("/", 2)[0], {one["fullUrl"]: one["resource"] for one in bundle["entry"][1:]}
    order = shown[url]
    found = {"ServiceRequest": order, "Patient": shown.get(_url(order.get("subject"), base) or "")}
    if "id" in task:
        own = _got(get, _Wanted(f"{base}/Task/{task['id']}", False))
        if own and _url(own.get("focus"), base) == url:
            found["Task"] = own
    return {kind: one for kind, one in found.items() if one}


def _getter(bridge: Bridge, hospital: str | None, url: str) -> Get:
    if there := focus.hospital_of(bridge, hospital, url):
        return lambda url: there.client.send(Call("GET", there.client.path_of(url) or ""))
    return lambda url: bridge.outside.get(url, headers={"Accept": FHIR_JSON})


def _got(get: Get, wanted: _Wanted) -> Resource | None:
    reply = get(wanted.url)
    if isinstance(reply, NoReply):
        raise Later(reply.cause)
    if reply.status in (401, 403, 408, 429) or reply.status >= 500:
        raise Later(f"the sender's server answered {reply.status}")
    kind = wanted.url.rsplit("/", 2)[1]
    if reply.status == 200 and reply.resource_type == kind:
        found: Resource = reply.body
        return found
    if wanted.required:
        raise Never(f"the sender's server answered {reply.status} instead of the {kind}")
    return None


def _targets(resource: Resource, base: str) -> Iterator[str]:
    for name in _FOLLOWED.get(str(resource.get("resourceType")), ()):
        said = resource.get(name)
        for one in said if isinstance(said, list) else [said]:
            if url := _url(one, base):
                yield url


def _url(reference: Any, base: str) -> str | None:
    """The address of what is referred to, if it is at `base`; what is contained, or elsewhere, is not fetched."""
    said = reference.get("reference") if isinstance(reference, dict) else None
    path = said.removeprefix(f"{base}/").partition("/_history/")[0] if isinstance(said, str) else ""
    return f"{base}/{path}" if _REFERENCE.fullmatch(path) else None


def _again(bridge: Bridge, claimed: Fetch, why: str) -> None:
    with bridge.store.transaction() as tx:
        now = tx.now
        if now - claimed.received_at < GIVE_UP_AFTER:
            seconds = retry.delay(claimed.tries, random=bridge.rng.random())
            fetches.settle(tx, claimed, next_at=now + timedelta(seconds=seconds), why=why)
            return
    _give_up(bridge, claimed, f"it was tried for {GIVE_UP_AFTER.days} days: {why}")


def _give_up(bridge: Bridge, claimed: Fetch, why: str) -> None:
    with bridge.store.transaction() as tx:
        if fetches.settle(tx, claimed, state="failed", next_at=None, why=why):
            audit.write(
                tx, tenant=claimed.tenant, actor="worker", action="fetch-failed", subject=f"task/{claimed.id}", detail={},
                now=tx.now, key=bridge.audit_key,
            )  # fmt: skip
