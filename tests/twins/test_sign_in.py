"""A session goes to a hospital that asks for SMART Backend Services: our keys, our published JWKS, its desk, all over HTTP."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from twins_rig import CLINIC, Doc, sessions

from fhir_bridge import bootstrap, documents
from fhir_bridge.clock import utc_now
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.sandbox.token import Client, Desk, at, require_sign_in
from fhir_bridge.settings import Hospital, Secret, Settings, Site
from fhir_bridge.sync import accept, keys, status
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.keys import Folder
from fhir_bridge.sync.worker import Worker
from fhir_bridge.web import app as web

SCOPE = "system/*.cruds"


@dataclass
class Both:
    """The bridge and the hospital's desk."""

    bridge: Bridge
    folder: Folder
    desk: Desk
    chart: Chart

    def deliver(self, session: Doc) -> Doc:
        accept.accept(self.bridge, client=CLINIC, kind="session", document=session, body_sha256=session["id"])
        Worker(self.bridge, name="test").drain()
        shown = status.of_record(self.bridge, tenant="default", kind="session", id=session["id"])
        assert shown is not None
        return dict(shown["deliveries"][0])

    def new_key(self, kid: str, *, lead: timedelta) -> None:
        now = utc_now()
        fresh = keys.new(kid, algorithm="ES384", now=now, signs_from=now + lead)
        self.folder.keep(keys.rotated(self.folder.load(), fresh), now)


@pytest.fixture
def both(sqlite_url: str, tmp_path: Path) -> Iterator[Both]:
    folder, chart, ours = Folder(tmp_path / "keys"), Chart(), {}
    desk = Desk(Client("bridge", lambda: at(f"{ours['url']}/.well-known/jwks.json")(), frozenset({SCOPE})))
    sandbox = create_app(load("hapi"), store=chart)
    require_sign_in(sandbox, desk)
    with running(sandbox) as hospital:
        settings = Settings(
            database_url=Secret(sqlite_url),
            keys=folder.path,
            sites={"default": Site("default", hospitals=("general",))},
            hospitals={
                "general": Hospital(
                    "general", hospital.base_url, sign_in="smart", secrets={"client_id": Secret("bridge"), "scope": Secret(SCOPE)}
                )
            },
        )
        bootstrap.prepare(settings)
        bridge = bootstrap.bridge(settings)
        with running(web.create_app(bridge, log=_Silent())) as served:
            ours["url"] = served.base_url.removesuffix("/fhir")
            yield Both(bridge, folder, desk, chart)
        bridge.store.close()


def visit(number: int) -> Doc:
    """The monitored visit as another session of another patient."""
    found = documents.dumps(sessions("monitored-clinic-visit")[0][1]).replace(b"S-MCV-1", b"S-MCV-%d" % (100 + number))
    told: Doc = documents.loads(found)
    told["patient"] |= {"id": f"P-{number}"}
    for part in ("follow_up", "series"):
        told.pop(part, None)
    return told


def test_a_session_is_delivered_with_a_token_for_our_published_key(both: Both) -> None:
    both.new_key("a", lead=timedelta(0))
    assert both.deliver(visit(1))["state"] == "delivered"
    assert both.desk.signed_by == ["a"]


def test_a_token_the_hospital_forgot_is_renewed_once_and_nothing_is_refused(both: Both) -> None:
    both.new_key("a", lead=timedelta(0))
    both.deliver(visit(1))
    both.desk.forget()
    delivery = both.deliver(visit(2))
    assert (delivery["state"], {attempt["outcome"] for attempt in delivery["attempts"]}) == ("delivered", {"delivered"})
    assert both.desk.signed_by == ["a", "a"]


def test_keys_are_rotated_under_traffic_and_no_delivery_is_refused(both: Both) -> None:
    both.new_key("a", lead=timedelta(0))
    stop, told = threading.Event(), []

    def traffic() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            both.desk.forget()  # each delivery signs in anew
            told.append(both.deliver(visit(number)))

    worker = threading.Thread(target=traffic)
    worker.start()
    _until(lambda: bool(told))
    both.new_key("b", lead=timedelta(seconds=1))
    _until(lambda: "b" in both.desk.signed_by)
    stop.set()
    worker.join()
    assert {delivery["state"] for delivery in told} == {"delivered"}
    assert {attempt["outcome"] for delivery in told for attempt in delivery["attempts"]} == {"delivered"}
    assert list(dict.fromkeys(both.desk.signed_by)) == ["a", "b"]


def test_without_a_key_nothing_is_sent_and_the_hospital_counts_as_out(both: Both) -> None:
    delivery = both.deliver(visit(1))
    assert delivery["state"] == "retry_wait"
    assert "keys generate" in delivery["reason"]
    assert not both.chart.log


def test_a_client_the_hospital_does_not_know_loses_nothing(both: Both) -> None:
    both.new_key("a", lead=timedelta(0))
    both.desk.client = Client("somebody-else", both.desk.client.jwks, both.desk.client.scopes)
    delivery = both.deliver(visit(1))
    assert (delivery["state"], "invalid_client" in delivery["reason"]) == ("retry_wait", True)


def _until(done: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


class _Silent:
    def __getattr__(self, name: str) -> object:
        return lambda *args, **more: None
