"""The clinic's receiver is called with each change, signed; a real https server, which checks the signature by itself."""

import hashlib
import hmac
import random
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from receivers import LOOPBACK, Receiver, means
from ward import Clock

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.hospital.outside import Outside
from fhir_bridge.store import audit
from fhir_bridge.store import webhooks as rows
from fhir_bridge.store.database import Store
from fhir_bridge.sync import webhooks
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.telling import send as webhooks_send
from fhir_bridge.sync.telling import sign
from fhir_bridge.sync.worker import Worker

SECRET = bytes(range(32))
MINUTE, HOUR = 60, 3600


@pytest.fixture
def bridge(bridge: Bridge, database_url: str, clock: Clock, authority: tuple[Path, Path]) -> Iterator[Bridge]:
    """A bridge on either database that may call loopback, where every name leads."""
    store = Store(database_url, allow_unsafe=True, clock=clock)
    outside = Outside(networks=LOOPBACK, resolve=means("127.0.0.1"), verify=str(authority[0]))
    yield replace(bridge, store=store, outside=outside)
    store.close()


@pytest.fixture
def happen(bridge: Bridge) -> Callable[..., None]:
    """Something happens to the sessions of these ids."""

    def write(*ids: str, action: str = "accept") -> None:
        for id in ids:
            with bridge.store.transaction() as tx:
                audit.write(
                    tx, tenant="default", actor="c", action=action, subject=f"session/{id}", detail={"version": 1}, now=tx.now,
                    key=bridge.audit_key,
                )  # fmt: skip

    return write


@pytest.fixture
def hook(bridge: Bridge, receiver: Receiver) -> str:
    """The id of a webhook at `receiver`."""
    url = f"https://receiver.test:{receiver.port}/hook"
    return str(webhooks.add(bridge, "default", url=url, secret=SECRET, who="ann")["id"])


def send(bridge: Bridge) -> None:
    """All that is due now."""
    while webhooks_send.send_due(bridge, worker="w"):
        pass


def told(receiver: Receiver) -> list[str]:
    return [documents.loads(body)["data"]["id"] for _, _, body in receiver.seen]


def verified(headers: dict[str, str], body: bytes, secret: bytes) -> bool:
    """As a receiver checks it, written after the standard and not after our signer."""
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = b64encode(hmac.digest(secret, said, hashlib.sha256))
    versions = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(found.encode(), wanted) for version, found in versions)


def test_each_change_is_sent_in_order_signed_and_without_patient_data(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    happen("S-1", "S-2")
    happen("somebody", action="login")
    happen("S-3", action="delivered")
    send(bridge)
    assert told(receiver) == ["S-1", "S-2", "S-3"]
    for headers, (_, _, body) in zip(receiver.with_headers, receiver.seen, strict=True):
        assert verified(headers, body, SECRET)
        assert not verified(headers, body + b" ", SECRET)
        assert headers["webhook-timestamp"] == str(int(clock.now.timestamp()))
    last = documents.loads(receiver.seen[-1][2])
    assert (last["type"], last["timestamp"]) == ("session.delivered", last["data"]["at"])
    assert last["data"] | {"at": ""} == {
        "cursor": 5, "at": "", "what": "session.delivered", "kind": "session", "id": "S-3", "by": "c", "version": 1,
        "url": "/api/v1/sessions/S-3",
    }  # fmt: skip
    send(bridge)
    assert len(receiver.seen) == 3
    [state] = webhooks.listing(bridge, "default")
    assert (state["state"], state["behind"], state["waiting"], state["dead"]) == ("active", 0, 0, 0)


def test_the_signature_is_the_one_of_the_standards_example() -> None:
    secret = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}', secret=secret)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_not_taken_is_sent_again_by_the_schedule_under_the_same_id_and_then_dead(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    happen("S-1")
    receiver.status = 500
    send(bridge)
    for wait in (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR):
        before = len(receiver.seen)
        clock.pass_(seconds=wait - 1)
        send(bridge)
        assert len(receiver.seen) == before
        clock.pass_(seconds=1)
        send(bridge)
        assert len(receiver.seen) == before + 1
    clock.pass_(days=30)
    send(bridge)
    assert len(receiver.seen) == 8
    assert {headers["webhook-id"] for headers in receiver.with_headers} == {f"{hook}-2"}
    assert len({headers["webhook-timestamp"] for headers in receiver.with_headers}) == 8
    [dead] = webhooks.shown(bridge, "default", hook)["messages"]
    assert (dead["state"], dead["attempts"], dead["cause"]) == ("dead", 8, "it answered 500")
    receiver.status = 204
    assert webhooks.retry(bridge, "default", hook, who="ann") == 1
    send(bridge)
    assert told(receiver) == ["S-1"] * 9
    assert webhooks.shown(bridge, "default", hook)["messages"] == []


def test_one_message_that_is_not_taken_does_not_hold_up_the_next(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    happen("S-1", "S-2", "S-3")
    receiver.first = [200, 500, 200]
    send(bridge)
    assert told(receiver) == ["S-1", "S-2", "S-3"]
    clock.pass_(seconds=5)
    send(bridge)
    assert told(receiver)[3:] == ["S-2"]


def test_a_receiver_that_is_down_keeps_its_place_and_gets_everything_when_it_is_back(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    ids = [f"S-{number}" for number in range(70)]
    receiver.status = 503
    happen(*ids)
    send(bridge)
    assert told(receiver) == ids[:3]
    [state] = webhooks.listing(bridge, "default")
    assert (state["state"], state["waiting"], state["behind"]) == ("resting", 3, 67)
    for _ in range(40):
        clock.pass_(hours=1)
        happen("noise", action="login")
        send(bridge)
    assert webhooks.listing(bridge, "default")[0]["dead"] >= 3
    receiver.status, receiver.seen[:] = 200, []
    clock.pass_(hours=11)
    webhooks.retry(bridge, "default", hook, who="ann")
    send(bridge)
    assert sorted(told(receiver)) == sorted(ids)


def test_a_receiver_that_says_wait_is_left_alone_so_long(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    happen("S-1")
    receiver.first, receiver.headers = [429], {"Retry-After": "600"}
    send(bridge)
    clock.pass_(seconds=599)
    send(bridge)
    assert len(receiver.seen) == 1
    clock.pass_(seconds=1)
    send(bridge)
    assert len(receiver.seen) == 2


def test_a_receiver_that_is_gone_is_called_no_more_until_a_person_says_so(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None]
) -> None:
    happen("S-1", "S-2")
    receiver.first = [410]
    send(bridge)
    assert told(receiver) == ["S-1"]
    assert webhooks.listing(bridge, "default")[0]["state"] == "stopped"
    webhooks.retry(bridge, "default", hook, who="ann")
    send(bridge)
    assert told(receiver) == ["S-1", "S-1", "S-2"]


def test_both_secrets_sign_while_one_is_rotated(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    fresh = bytes(32)
    rotated = webhooks.rotate(bridge, "default", hook, secret=fresh, who="ann", hours=24)
    assert sign.secret_of(rotated["secret"]) == fresh
    happen("S-1")
    send(bridge)
    clock.pass_(hours=24)
    happen("S-2")
    send(bridge)
    checks = [
        [verified(headers, body, secret) for secret in (fresh, SECRET)]
        for headers, (_, _, body) in zip(receiver.with_headers, receiver.seen, strict=True)
    ]
    assert checks == [[True, True], [True, False]]


def test_two_senders_at_once_tell_everything_once(bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None]) -> None:
    ids = [f"S-{number}" for number in range(30)]
    happen(*ids)
    senders = [threading.Thread(target=send, args=(bridge,)) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    send(bridge)
    assert told(receiver) == ids


def test_a_sender_that_died_is_followed_by_another_and_one_that_comes_back_late_writes_nothing(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock
) -> None:
    happen("S-1")
    with bridge.store.transaction() as tx:
        late = rows.lease(tx, "default", hook, worker="dies", seconds=webhooks_send.LEASE_SECONDS)
    assert late is not None
    send(bridge)
    assert receiver.seen == []
    clock.pass_(seconds=webhooks_send.LEASE_SECONDS)
    send(bridge)
    assert told(receiver) == ["S-1"]
    with pytest.raises(rows.LeaseLost), bridge.store.transaction() as tx:
        rows.passed(tx, late, 0)


def test_an_answer_that_was_not_written_down_is_asked_for_again_under_the_same_id(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    happen("S-1", "S-2")
    with monkeypatch.context() as crash:
        crash.setattr(rows, "took", dies)
        with pytest.raises(KeyboardInterrupt):
            send(bridge)
    clock.pass_(seconds=webhooks_send.LEASE_SECONDS)
    send(bridge)
    assert told(receiver) == ["S-1", "S-1", "S-2"]
    assert len({headers["webhook-id"] for headers in receiver.with_headers}) == 2


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_receiver_answers_every_change_reaches_it_or_is_shown_as_dead(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], clock: Clock, seed: int
) -> None:
    chance, ids = random.Random(seed), [f"S-{number}" for number in range(25)]
    for id in ids:
        happen(id)
        receiver.first = [chance.choice((200, 200, 204, 302, 404, 500, 503)) for _ in range(40)]
        if chance.random() < 0.5:
            send(bridge)
        clock.pass_(seconds=chance.choice((1, 400, 8 * HOUR)))
    receiver.first = []
    for _ in range(4):
        clock.pass_(hours=10)
        send(bridge)
    taken = {id for id, status in zip(told(receiver), receiver.answered, strict=True) if status < 300}
    dead = {f"S-{message['cursor'] - 2}" for message in webhooks.shown(bridge, "default", hook)["messages"]}  # number 1 was the webhook's
    assert taken | dead == set(ids)
    assert taken & dead == set()


def test_a_worker_calls_the_receivers_beside_its_deliveries(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_send, "IDLE_SECONDS", 0.02)
    happen("S-1")
    stop = threading.Event()
    worker = threading.Thread(target=Worker(bridge).run, args=(stop,))
    worker.start()
    for _ in range(500):
        if stop.wait(0.02) or receiver.seen:
            break
    stop.set()
    worker.join()
    assert told(receiver) == ["S-1"]


def test_one_receiver_that_breaks_the_bridge_does_not_hold_up_another(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://receiver.test:{receiver.port}/other"
    other = webhooks.add(bridge, "default", url=url, secret=SECRET, who="ann")["id"]
    call = webhooks_send.call

    def breaks(bridge: Bridge, webhook: rows.Webhook, *more: Any) -> Any:
        if webhook.id == min(hook, other):
            raise ZeroDivisionError
        return call(bridge, webhook, *more)

    happen("S-1")
    monkeypatch.setattr(webhooks_send, "call", breaks)
    send(bridge)
    assert told(receiver) == ["S-1"]


def test_another_sites_changes_are_not_told(bridge: Bridge, receiver: Receiver, hook: str) -> None:
    with bridge.store.transaction() as tx:
        audit.write(tx, tenant="south", actor="c", action="accept", subject="session/S-9", detail={}, now=tx.now, key=bridge.audit_key)
    send(bridge)
    assert receiver.seen == []


@pytest.mark.parametrize("url", ["http://receiver.example/", "https://10.0.0.1/hook", "https://user@receiver.test/", "https://localhost/"])
def test_an_address_that_may_not_be_called_is_refused_at_once(bridge: Bridge, url: str) -> None:
    careful = replace(bridge, outside=Outside(resolve=means("10.0.0.1")))
    with pytest.raises(Refused):
        webhooks.add(careful, "default", url=url, secret=SECRET, who="ann")


def test_an_address_that_became_private_is_not_called(bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None]) -> None:
    happen("S-1")
    send(replace(bridge, outside=Outside(resolve=means("127.0.0.1"))))
    assert receiver.seen == []
    [message] = webhooks.shown(bridge, "default", hook)["messages"]
    assert "must be a public address" in message["cause"]


def test_a_secret_sealed_with_another_audit_key_stops_the_receiver_and_rotating_mends_it(
    bridge: Bridge, receiver: Receiver, hook: str, happen: Callable[..., None]
) -> None:
    happen("S-1")
    other = replace(bridge, audit_key=b"another key" * 4)
    send(other)
    assert "rotate it" in webhooks.listing(bridge, "default")[0]["why_stopped"]
    fresh = bytes(32)
    webhooks.rotate(other, "default", hook, secret=fresh, who="ann", hours=24)
    webhooks.retry(other, "default", hook, who="ann")
    send(other)
    assert verified(receiver.with_headers[0], receiver.seen[0][2], fresh)


def test_the_database_holds_no_secret_in_clear_and_the_audit_trail_who_did_what(bridge: Bridge, hook: str) -> None:
    with bridge.store.reading() as tx:
        kept = rows.of(tx, "default", hook)
        assert kept is not None
        assert not any(text in kept.secret for text in (SECRET.hex(), b64encode(SECRET).decode(), SECRET.decode("latin1")))
        assert [(one.actor, one.action) for one in audit.of_subject(tx, "default", f"webhook/{hook}")] == [("ann", "webhook-add")]
    webhooks.remove(bridge, "default", hook, who="bob")
    assert webhooks.listing(bridge, "default") == []
    with pytest.raises(Refused):
        webhooks.shown(bridge, "default", hook)


def test_a_test_message_is_sent_at_once(bridge: Bridge, receiver: Receiver, hook: str) -> None:
    assert webhooks.test(bridge, "default", hook) == 200
    body: Any = documents.loads(receiver.seen[0][2])
    assert body["type"] == "test"
    assert verified(receiver.with_headers[0], receiver.seen[0][2], SECRET)
    receiver.status = 302
    with pytest.raises(webhooks.NotTaken, match="302"):
        webhooks.test(bridge, "default", hook)
