"""A clinic that signs its requests: every byte counts, for five minutes, once; two secrets hold while one takes the other's place."""

import base64
import hashlib
import hmac
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from signing import Unread
from store_rows import Clock
from structlog.testing import CapturingLogger
from web_session import SESSION

from fhir_bridge.settings import Settings
from fhir_bridge.store import clients, records
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.clients import registry
from fhir_bridge.sync.clients import signed as sign_in_signed
from fhir_bridge.sync.clients.registry import Wanted
from fhir_bridge.web import create_app

AT = "/api/v1/sessions"
BODY = json.dumps(SESSION).encode()


def sign(secret: str, told: bytes) -> str:
    """As Standard Webhooks' own libraries do it, written here anew."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()


@dataclass
class Clinic:
    """A clinic's program with its secret, at a bridge whose time is ours."""

    door: FlaskClient
    bridge: Bridge
    clock: Clock
    log: CapturingLogger
    shown: Mapping[str, str]

    def headers(self, line: str = f"POST {AT}", body: bytes = BODY, *, shift: float = 0) -> dict[str, str]:
        shown = self.shown  # one pair, also while another thread puts a new one in its place
        id, at = str(uuid.uuid4()), str(int(self.clock().timestamp() + shift))
        signature = sign(shown["secret"], f"{id}.{at}.{line}\n".encode() + body)
        return {
            "Authorization": f"HMAC {shown['signer']}",
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": at,
            "webhook-signature": signature,
        }

    def post(self, headers: dict[str, str], *, at: str = AT, body: bytes = BODY) -> int:
        return int(self.door.post(at, data=body, headers=headers).status_code)

    def rotate(self, overlap: timedelta) -> Mapping[str, str]:
        return registry.rotate(self.bridge, tenant="north", id="c1", wanted=Wanted("hmac"), overlap=overlap, by="test")[0]


@pytest.fixture
def clinic(bridge: Bridge, settings: Settings) -> Iterator[Clinic]:
    clock, log = Clock(), CapturingLogger()
    store = Store(settings.database_url.reveal(), clock=clock)
    here = replace(bridge, store=store, clock=clock)
    shown = registry.register(here, Client("north", "c1", "c1", "clinic", clock()), Wanted("hmac"), by="test")
    yield Clinic(create_app(here, log=log).test_client(), here, clock, log, shown)
    store.close()


def kept(clinic: Clinic) -> int:
    with clinic.bridge.store.reading() as tx:
        return len(records.listing(tx, tenant="north", kind="session"))


def test_the_signature_is_what_the_published_library_makes() -> None:
    """`standardwebhooks` 1.1.0 for Python signed this."""
    told = {"id": "m1", "timestamp": "1772452800", "line": "POST /api/v1/sessions", "body": b'{"a": 1}'}
    made = sign_in_signed.signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", **told)
    assert made == "v1,SR/RXynrFpi9cjXBD2JxwYv4qsBbE94stOTtyhLuqas="


def test_a_signed_session_is_taken_of_the_signers_tenant(clinic: Clinic) -> None:
    assert (clinic.post(clinic.headers()), kept(clinic)) == (202, 1)


def test_a_signed_question_is_answered_with_its_query(clinic: Clinic) -> None:
    line = "/api/v1/referrals?status=received&limit=5"
    signed = clinic.headers(f"GET {line}", b"")
    assert clinic.door.get(line.replace("5", "6"), headers=signed).status_code == 401
    assert clinic.door.get(line, headers=signed).status_code == 200


def test_for_a_stranger_the_body_is_not_even_read(clinic: Clinic) -> None:
    for wrong in ({"Authorization": "HMAC fhirbridge_signer_AAAA"}, {"webhook-timestamp": "1"}, {"webhook-id": ""}):
        sent = clinic.headers() | wrong | {"Content-Length": "100"}
        assert clinic.door.post(AT, input_stream=Unread(), headers=sent).status_code == 401


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


TAMPERED: dict[str, Any] = {
    "the first byte of the body": {"body": b"[" + BODY[1:]},
    "the middle of the body": {"body": BODY.replace(b"72", b"27")},
    "the end of the body": {"body": BODY[:-1] + b" "},
    "a byte more": {"body": BODY + b" "},
    "no body": {"body": b""},
    "another address": {"at": "/api/v1/appointments"},
    "a query": {"at": f"{AT}?a=b"},
    "the id": {"webhook-id": "another"},
    "no id": {"webhook-id": ""},
    "the time": {"webhook-timestamp": "1772452801"},
    "no time": {"webhook-timestamp": ""},
    "a time that is none": {"webhook-timestamp": "1e9"},
    "no signature": {"webhook-signature": ""},
    "another version of signatures": {"webhook-signature": "v2,"},
    "an unknown signer": {"Authorization": "HMAC fhirbridge_signer_AAAA"},
    "no signer": {"Authorization": "HMAC "},
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_on_the_way_is_refused_and_not_read(clinic: Clinic, name: str) -> None:
    change, headers = dict(TAMPERED[name]), clinic.headers()
    sent = {part: change.pop(part) for part in ("at", "body") if part in change}
    if name == "another version of signatures":
        change["webhook-signature"] += headers["webhook-signature"][3:]
    assert (clinic.post(headers | change, **sent), kept(clinic)) == (401, 0)


@pytest.mark.parametrize("at", [0, 3, 20, -1])
def test_a_changed_signature_is_refused(clinic: Clinic, at: int) -> None:
    headers = clinic.headers()
    signature = headers["webhook-signature"]
    changed = {"webhook-signature": flipped(signature, at % len(signature))}
    assert clinic.post(headers | changed) == 401


@pytest.mark.parametrize(("shift", "status"), [(-299, 202), (299, 202), (-301, 401), (301, 401), (-86_400, 401), (10**11, 401)])
def test_a_request_is_good_for_five_minutes_either_way(clinic: Clinic, shift: float, status: int) -> None:
    assert clinic.post(clinic.headers(shift=shift)) == status


def test_a_request_is_good_once_here_and_in_any_other_process(clinic: Clinic, settings: Settings) -> None:
    headers = clinic.headers()
    assert [clinic.post(headers), clinic.post(headers)] == [202, 401]
    other = Store(settings.database_url.reveal(), clock=clinic.clock)  # as another process has it: nothing shared but the database
    there = create_app(replace(clinic.bridge, store=other), log=CapturingLogger()).test_client()
    assert there.post(AT, data=BODY, headers=headers).status_code == 401
    assert there.post(AT, data=BODY, headers=clinic.headers()).status_code == 202
    other.close()


def test_a_replay_at_the_end_of_its_time_is_still_a_replay(clinic: Clinic) -> None:
    headers = clinic.headers(shift=299)
    assert clinic.post(headers) == 202
    for minutes in (4, 5):
        clinic.clock.now += timedelta(minutes=minutes)
        clinic.post(clinic.headers())  # what ended is forgotten on the way
        assert clinic.post(headers) == 401


def test_of_several_signatures_one_must_hold(clinic: Clinic) -> None:
    headers = clinic.headers()
    several = {"webhook-signature": f"v1,AAAA {headers['webhook-signature']} v1a,BBBB"}
    assert clinic.post(headers | several) == 202


def test_two_secrets_hold_until_the_overlap_ends(clinic: Clinic) -> None:
    old, new = clinic.shown, clinic.rotate(timedelta(hours=1))
    for later, statuses in ((0, [202, 202]), (59, [202, 202]), (2, [401, 202])):
        clinic.clock.now += timedelta(minutes=later)
        found = []
        for clinic.shown in (old, new):
            found.append(clinic.post(clinic.headers()))
        assert found == statuses


def test_a_secret_is_rotated_under_traffic_and_nobody_is_refused(clinic: Clinic) -> None:
    stop, told = threading.Event(), []

    def traffic() -> None:
        while not stop.is_set():
            told.append(clinic.post(clinic.headers()))

    sender = threading.Thread(target=traffic)
    sender.start()
    for _ in range(3):
        fresh = clinic.rotate(timedelta(hours=1))
        before = len(told)
        while len(told) < before + 3 and sender.is_alive():
            stop.wait(0.02)
        clinic.shown = fresh
    stop.set()
    sender.join()
    assert len(told) >= 9
    assert set(told) <= {202}


def test_a_revoked_signer_is_refused(clinic: Clinic) -> None:
    assert clinic.post(clinic.headers()) == 202
    with clinic.bridge.store.transaction() as tx:
        assert clients.revoke(tx, tenant="north", id="c1", now=tx.now)
    assert clinic.post(clinic.headers()) == 401


def test_the_signers_name_is_no_key(clinic: Clinic) -> None:
    for scheme in ("Bearer", "HMAC"):
        shown = {"Authorization": f"{scheme} {clinic.shown['signer']}", "Content-Type": "application/json"}
        assert clinic.post(shown) == 401


def test_neither_secret_nor_signature_is_logged(clinic: Clinic) -> None:
    headers = clinic.headers()
    clinic.post(headers)
    clinic.post(headers)
    lines = str(clinic.log.calls)
    for word in (*clinic.shown.values(), headers["webhook-signature"][3:], headers["webhook-id"]):
        assert word not in lines
