"""What a person does with the clinic's receivers of changes: add, look, rotate the secret, try again, remove; all in the audit trail."""

from datetime import timedelta
from typing import Any

from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.hospital.exchange import NoReply
from fhir_bridge.store import audit
from fhir_bridge.store import webhooks as store
from fhir_bridge.store.database import Transaction
from fhir_bridge.store.webhooks import Message, Webhook
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.telling import send, sign


class NotTaken(BridgeError):
    """The receiver did not take the test message."""


def add(bridge: Bridge, tenant: str, *, url: str, secret: bytes, who: str, after: int | None = None) -> dict[str, Any]:
    """A new receiver, told of what comes from now on, or after the cursor `after`: `{id, url, secret, after}`.

    The secret cannot be shown again. Raises `Refused` for an address that may not be called.
    """
    bridge.outside.check(url)
    id, sealed = f"wh-{bridge.new_id()}", sign.seal(secret, bridge.audit_key)
    with bridge.store.transaction() as tx:
        end = audit.head(tx, tenant).seq
        cursor = end if after is None else after
        if not 0 <= cursor <= end:
            raise Refused([Fault("after", f"must be a cursor of the feed of changes, 0 to {end}")])
        store.add(tx, tenant=tenant, id=id, url=url, secret=sealed, cursor=cursor, who=who, now=tx.now)
        _audit(bridge, tx, tenant, id, action="webhook-add", who=who)
    return {"id": id, "url": url, "secret": sign.shown(secret), "after": cursor}


def listing(bridge: Bridge, tenant: str) -> list[dict[str, Any]]:
    """Every receiver of the site: where it is, how far in the feed, what waits, what is dead, and whether it stopped or rests."""
    with bridge.store.reading() as tx:
        end = audit.head(tx, tenant).seq
        return [_told(tx, webhook, end) for webhook in store.listing(tx, tenant)]


def shown(bridge: Bridge, tenant: str, id: str) -> dict[str, Any]:
    """As `listing`, with the `messages` the receiver did not take. Raises `Refused` for an unknown one."""
    with bridge.store.reading() as tx:
        webhook = _found(tx, tenant, id)
        messages = [*store.messages_of(tx, tenant, id, dead=True), *store.messages_of(tx, tenant, id, dead=False)]
        return _told(tx, webhook, audit.head(tx, tenant).seq) | {"messages": [_message(message) for message in messages]}


def rotate(bridge: Bridge, tenant: str, id: str, *, secret: bytes, who: str, hours: float) -> dict[str, Any]:
    """Sign with a new secret, and for `hours` with the old one too, so that the receiver may change in its own time."""
    with bridge.store.transaction() as tx:
        _found(tx, tenant, id)
        until = tx.now + timedelta(hours=hours)
        store.rotate(tx, tenant, id, secret=sign.seal(secret, bridge.audit_key), old_until=until)
        _audit(bridge, tx, tenant, id, action="webhook-rotate", who=who)
    return {"id": id, "secret": sign.shown(secret), "old_until": until.isoformat()}


def retry(bridge: Bridge, tenant: str, id: str, *, who: str, cursor: int | None = None) -> int:
    """Send the dead messages again (or that of one change), and a receiver that stopped or rests from now on; returns how many."""
    with bridge.store.transaction() as tx:
        _found(tx, tenant, id)
        count = store.revive(tx, tenant, id, seq=cursor, now=tx.now)
        _audit(bridge, tx, tenant, id, action="webhook-retry", who=who)
    return count


def remove(bridge: Bridge, tenant: str, id: str, *, who: str) -> None:
    """Tell the receiver nothing more, and forget what it did not take."""
    with bridge.store.transaction() as tx:
        _found(tx, tenant, id)
        store.remove(tx, tenant, id)
        _audit(bridge, tx, tenant, id, action="webhook-remove", who=who)


def test(bridge: Bridge, tenant: str, id: str) -> int:
    """Send a signed message of the type `test`, now and once; returns the status. Raises `NotTaken`."""
    with bridge.store.reading() as tx:
        webhook = _found(tx, tenant, id)
    change = {"what": "test", "at": bridge.clock().isoformat(), "cursor": 0, "by": "test"}
    reply = send.call(bridge, webhook, f"{id}-test-{bridge.new_id()}", sign.body(change))
    if isinstance(reply, NoReply):
        raise NotTaken(f"The receiver gave no answer: {reply.cause}.")
    if not isinstance(send.judged(reply), send.Taken):
        raise NotTaken(f"The receiver answered {reply.status}, not 2xx.")
    return reply.status


def _found(tx: Transaction, tenant: str, id: str) -> Webhook:
    if (webhook := store.of(tx, tenant, id)) is None:
        raise Refused([Fault("id", "the site has no webhook of this id; `fhir-bridge webhooks list` prints them")])
    return webhook


def _told(tx: Transaction, webhook: Webhook, end: int) -> dict[str, Any]:
    waiting, dead = store.counts(tx, webhook.tenant, webhook.id)
    return {
        "id": webhook.id,
        "url": webhook.url,
        "cursor": webhook.cursor,
        "behind": end - webhook.cursor,
        "waiting": waiting,
        "dead": dead,
        "state": "stopped" if webhook.stopped_at else "resting" if webhook.resting else "active",
        "created_at": webhook.created_at.isoformat(),
        "created_by": webhook.created_by,
    } | ({"why_stopped": webhook.why_stopped} if webhook.stopped_at else {})


def _message(message: Message) -> dict[str, Any]:
    told = {
        "cursor": message.seq,
        "state": "dead" if message.dead_at else "waiting",
        "attempts": message.attempts,
        "last_at": message.last_at.isoformat(),
        "cause": message.cause,
    }
    return told | ({"next_at": message.next_at.isoformat()} if message.next_at else {})


def _audit(bridge: Bridge, tx: Transaction, tenant: str, id: str, *, action: str, who: str) -> None:
    audit.write(tx, tenant=tenant, actor=who, action=action, subject=f"webhook/{id}", detail={}, now=tx.now, key=bridge.audit_key)
