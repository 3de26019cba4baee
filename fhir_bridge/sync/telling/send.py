"""Changes go out to the clinic's receivers: each from its own place in the feed, at least once, under an id that stays the same.

The place moves with what the receiver answered, in one transaction. What was not taken is sent again by the schedule and is dead when
that is over, for a person to see and try again; what comes after it does not wait, but for a receiver that is down (`store/webhooks.py`).
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, assert_never

from fhir_bridge.hospital.client import NoReply, Reply
from fhir_bridge.hospital.reply import retry_after
from fhir_bridge.store import webhooks
from fhir_bridge.store.database import StoreError, Transaction
from fhir_bridge.store.webhooks import LeaseLost, Message, Webhook
from fhir_bridge.sync import changes
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.telling import sign
from fhir_bridge.sync.telling.sign import Unreadable

log = logging.getLogger(__name__)

# Seconds between tries, as Svix has them: a receiver that was down over night gets everything in the morning.
SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
LEASE_SECONDS = 180  # a turn ends long before: TURN_SECONDS and the call in hand
TURN_SECONDS = 30
IDLE_SECONDS = 1.0
AT_ONCE = 50
GONE = 410


@dataclass(frozen=True, slots=True)
class Taken:
    """Answered 2xx."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Anything else: `status` if there was an answer, `cause` in words, and how many seconds the receiver asks us to wait."""

    status: int | None
    cause: str
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Gone:
    """410: the receiver wants nothing any more."""


def judged(reply: Reply | NoReply) -> Taken | NotTaken | Gone:
    """What an answer means. A redirect is no answer: what it names was not looked at by the person who added the address."""
    if isinstance(reply, NoReply):
        return NotTaken(None, reply.cause)
    if 200 <= reply.status < 300:
        return Taken()
    if reply.status == GONE:
        return Gone()
    return NotTaken(reply.status, f"it answered {reply.status}", retry_after(reply, None) or 0.0)


def send_due(bridge: Bridge, *, worker: str, stopping: Callable[[], bool] = lambda: False) -> int:
    """One turn with every receiver that something is due for; returns how many had one."""
    with bridge.store.reading() as tx:
        due = webhooks.due(tx)
    return sum(_turn(bridge, tenant, id, worker=worker, stopping=stopping) for tenant, id in due if not stopping())


def keep_sending(bridge: Bridge, worker: str, stop: Event) -> None:
    """Until `stop` is set. A database that cannot be reached is waited for."""
    while not stop.wait(IDLE_SECONDS):
        try:
            while send_due(bridge, worker=worker, stopping=stop.is_set):
                pass
        except StoreError as error:
            log.warning("the database refused: %s", error)


def _turn(bridge: Bridge, tenant: str, id: str, *, worker: str, stopping: Callable[[], bool]) -> bool:
    with bridge.store.transaction() as tx:
        webhook = webhooks.lease(tx, tenant, id, worker=worker, seconds=LEASE_SECONDS)
    if webhook is None:
        return False
    try:
        _Turn(bridge, webhook, stopping).take()
        with bridge.store.transaction() as tx:
            webhooks.release(tx, webhook)
    except LeaseLost:
        log.info("another sender is at webhook %s", id)
    except StoreError:
        raise
    except Exception:  # one receiver must not end the others; its lease keeps it away for a while
        log.exception("webhook %s failed", id)
    return True


@dataclass(slots=True)
class _Turn:
    """Some messages to one leased receiver: first those that wait, then what is new."""

    bridge: Bridge
    webhook: Webhook
    stopping: Callable[[], bool]

    def take(self) -> None:
        until = self.bridge.clock() + timedelta(seconds=TURN_SECONDS)
        for message, change in self._again():
            if self._over(until) or not self._send(change, message):
                return
        for change in self._fresh():
            if self._over(until) or not self._send(change, None):
                return

    def _over(self, until: datetime) -> bool:
        return self.stopping() or self.bridge.clock() >= until

    def _again(self) -> list[tuple[Message, dict[str, Any]]]:
        with self.bridge.store.reading() as tx:
            found = webhooks.due_messages(tx, self.webhook, limit=AT_ONCE)
            return [(message, _change(tx, self.webhook.tenant, message.seq)) for message in found]

    def _fresh(self) -> list[dict[str, Any]]:
        """What is new to the receiver; while it rests, one at a time, and only when nothing waits."""
        with self.bridge.store.reading() as tx:
            now = webhooks.of(tx, self.webhook.tenant, self.webhook.id)
            if now is None or (now.resting and webhooks.waits(tx, now)):
                return []
            limit = 1 if now.resting else AT_ONCE
            page = changes.read(tx, now.tenant, after=now.cursor, limit=limit)
        found: list[dict[str, Any]] = page["changes"]
        if not found:
            with self.bridge.store.transaction() as tx:
                webhooks.passed(tx, self.webhook, page["next"])
        return found

    def _send(self, change: dict[str, Any], message: Message | None) -> bool:
        """One try, written down. False when this receiver gets nothing more in this turn."""
        try:
            reply = call(self.bridge, self.webhook, sign.message_id(self.webhook.id, change["cursor"]), sign.body(change))
            end = judged(reply)
        except Unreadable as error:
            return self._stop(str(error))
        with self.bridge.store.transaction() as tx:
            cursor = None if message else change["cursor"]
            match end:
                case Taken():
                    webhooks.took(tx, self.webhook, change["cursor"], cursor=cursor)
                    return True
                case NotTaken():
                    webhooks.failed(tx, self.webhook, self._later(tx, change["cursor"], message, end), cursor=cursor)
                    after = webhooks.of(tx, self.webhook.tenant, self.webhook.id)
                    return after is not None and not after.resting
                case Gone():
                    pass
                case _:
                    assert_never(end)
        return self._stop("it answered 410: it wants nothing any more")

    def _later(self, tx: Transaction, seq: int, before: Message | None, end: NotTaken) -> Message:
        now, tries = tx.now, before.attempts if before else 0
        next_at = now + timedelta(seconds=max(SCHEDULE[tries], end.after)) if tries < len(SCHEDULE) else None
        return Message(
            self.webhook.tenant, self.webhook.id, seq, tries + 1, next_at, now, end.status, end.cause, None if next_at else now,
        )  # fmt: skip

    def _stop(self, why: str) -> bool:
        with self.bridge.store.transaction() as tx:
            webhooks.stop(tx, self.webhook, why=why, now=tx.now)
        return False


def call(bridge: Bridge, webhook: Webhook, id: str, body: bytes) -> Reply | NoReply:
    """Send `body` to the receiver, signed. Raises `Unreadable`."""
    secrets = [sign.unseal(webhook.secret, bridge.audit_key)]
    now = bridge.clock()
    if webhook.old_secret and webhook.old_until and webhook.old_until > now:
        with suppress(Unreadable):  # it may be why there is a new one
            secrets.append(sign.unseal(webhook.old_secret, bridge.audit_key))
    return bridge.outside.post(webhook.url, body, headers=sign.headers(id, body, secrets=secrets, now=now))


def _change(tx: Transaction, tenant: str, seq: int) -> dict[str, Any]:
    """The change `seq`: that it was one is kept with the message, and no word is ever taken back from `changes.WORDS`."""
    found: list[dict[str, Any]] = changes.read(tx, tenant, after=seq - 1, limit=1)["changes"]
    return found[0]
