"""A message that must be read before its answer is stored before it is read; what a dead process left over is read by another one."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from store_rows import Clock

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.settings import Settings
from fhir_bridge.store import audit, clients, records
from fhir_bridge.store.clients import Client
from fhir_bridge.store.database import Store
from fhir_bridge.store.referral_tables import referrals_arriving, referrals_raw
from fhir_bridge.sync import refer
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import arriving, orphans, resume
from fhir_bridge.sync.referrals.shape import ORDER, TASK, Incoming

SignIn = Callable[..., FlaskClient]
TEXT = (Path(__file__).parents[2] / "fixtures/cases/referred-biologic/inbound/service-request.json").read_text()
BASE = "http://localhost/fhir"
SENDER = Client("north", "north-hospital", "north hospital", "hospital", Clock()())


def standing(status: str) -> str:
    """The order with this status."""
    return re.sub(r'"status": "active",(\s+"intent")', rf'"status": "{status}",\1', TEXT)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(bridge: Bridge, settings: Settings, clock: Clock) -> Iterator[Bridge]:
    """The bridge, whose time is ours, and whose sender is known."""
    store = Store(settings.database_url.reveal(), clock=clock)
    with store.transaction() as tx:
        clients.add(tx, tenant="north", id=SENDER.id, name=SENDER.name, kind="hospital", now=tx.now)
    yield replace(bridge, store=store, clock=clock)
    store.close()


def order(text: str = TEXT, **asked: Any) -> Incoming:
    return Incoming(ORDER, text.encode(), documents.loads(text.encode()), BASE, **asked)


def left_over(bridge: Bridge, clock: Clock, incoming: Incoming) -> None:
    """Its process stored it and died."""
    arriving.stored(bridge, SENDER, incoming)
    clock.now += timedelta(minutes=1)


def stored(bridge: Bridge) -> tuple[list[int], int]:
    """The HTTP status of each message that is kept, 0 without an answer, in the order in which they came; how many are being read."""
    with bridge.store.reading() as tx:
        kept = tx.rows(select(referrals_raw.c.status).order_by(referrals_raw.c.received_at))
        return [row.status for row in kept], len(tx.rows(select(referrals_arriving)))


def urgencies(bridge: Bridge) -> list[str]:
    """What each version of the one referral says."""
    with bridge.store.reading() as tx:
        versions = sorted(records.listing(tx, tenant="north", kind="referral"), key=lambda one: one.version)
    assert len({one.id for one in versions}) == 1
    return [documents.loads(one.document)["referral"]["urgency"] for one in versions]


def test_its_bytes_are_there_while_it_is_read_and_its_answer_is_theirs(here: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    read = refer.refer_read.read

    def looking(*said: Any) -> Any:
        seen.append(stored(here))
        return read(*said)

    monkeypatch.setattr(refer.refer_read, "read", looking)
    assert refer.take(here, SENDER, order()).status == 201
    assert seen == [([0], 1)]
    assert stored(here) == ([201], 0)


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (order(), [201]),  # it says nothing new
        (order(request_id="r-1"), [201]),
        (order(if_none_exist="identifier=" + documents.loads(TEXT.encode())["identifier"][0]["value"]), [201]),
        (order(TEXT.replace('"intent": "order"', '"intent": "nonsense"')), [201, 400]),
        (order(standing("completed")), [201, 422]),
        (order(standing("revoked")), [201, 200]),
    ],
    ids=["again", "again-by-id", "conditional", "not-fhir", "refused", "revoked"],
)
def test_nothing_is_left_over_however_it_ends(here: Bridge, clock: Clock, second: Incoming, kept: list[int]) -> None:
    refer.take(here, SENDER, order(request_id="r-1"))
    clock.now += timedelta(minutes=1)
    with suppress(Refused):
        refer.take(here, SENDER, second)
    assert stored(here) == (kept, 0)


def test_what_is_left_over_is_read_when_no_request_can_last_any_more(here: Bridge, clock: Clock) -> None:
    left_over(here, clock, order())
    assert not resume.resume_due(here)
    clock.now += resume.PATIENCE
    assert resume.resume_due(here)
    assert not resume.resume_due(here)
    assert urgencies(here) == ["urgent"]
    assert stored(here) == ([201], 0)
    with here.store.reading() as tx:
        [current] = records.listing(tx, tenant="north", kind="referral")
    received = documents.loads(current.document)["referral"]["received_at"]
    assert received == (clock.now - resume.PATIENCE - timedelta(minutes=1)).isoformat(timespec="milliseconds")


def test_what_its_sender_said_again_meanwhile_stands_once(here: Bridge, clock: Clock) -> None:
    left_over(here, clock, order())
    refer.take(here, SENDER, order())
    clock.now += resume.PATIENCE
    resume.resume_due(here)
    assert urgencies(here) == ["urgent"]
    assert stored(here) == ([409, 201], 0)


def test_two_processes_that_read_the_same_one_keep_it_with_the_first_answer(here: Bridge, clock: Clock) -> None:
    twice = arriving.stored(here, SENDER, order())
    assert [refer.take(here, SENDER, twice).status for _ in range(2)] == [201, 201]
    assert stored(here) == ([201], 0)
    assert urgencies(here) == ["urgent"]


def test_what_was_answered_under_its_number_while_it_came_stands_once(here: Bridge, clock: Clock) -> None:
    twin = arriving.stored(here, SENDER, order(request_id="r-1"))
    clock.now += timedelta(seconds=1)
    left_over(here, clock, order(request_id="r-1"))
    refer.take(here, SENDER, twin)
    clock.now += resume.PATIENCE
    resume.resume_due(here)
    assert urgencies(here) == ["urgent"]
    assert stored(here) == ([201], 0)


def test_what_its_sender_said_later_is_not_undone(here: Bridge, clock: Clock) -> None:
    left_over(here, clock, order())
    refer.take(here, SENDER, order(TEXT.replace('"priority": "urgent"', '"priority": "asap"')))
    clock.now += resume.PATIENCE
    resume.resume_due(here)
    assert urgencies(here) == ["asap"]


def test_an_update_is_left_over_with_its_conditions(here: Bridge, clock: Clock) -> None:
    first = refer.take(here, SENDER, order())
    assert first.body
    clock.now += timedelta(minutes=1)
    put = documents.dumps(first.body | {"priority": "asap"})
    for wanted in ('W/"7"', 'W/"1"'):
        left_over(here, clock, Incoming(ORDER, put, documents.loads(put), BASE, update=first.body["id"], if_match=wanted))
    clock.now += resume.PATIENCE
    resume.resume_due(here)
    assert urgencies(here) == ["urgent", "asap"]
    assert stored(here) == ([201, 412, 200], 0)


class TestWhatCannotBeRead:
    """Its sender has no answer, so the clinic is told."""

    @pytest.fixture(autouse=True)
    def resumed(self, here: Bridge, clock: Clock) -> None:
        left_over(here, clock, order(TEXT.replace('"birthDate": "1988-', '"birthDate": "1788-')))
        clock.now += resume.PATIENCE
        resume.resume_due(here)

    def test_is_kept_with_what_it_would_have_been_answered(self, here: Bridge) -> None:
        assert stored(here) == ([422], 0)

    def test_stands_among_what_nobody_moves_until_it_comes_mended(self, here: Bridge, clock: Clock) -> None:
        assert [(one["stuck"], one["who"]) for one in orphans.of_site(here, "north")] == [("unreadable", "hospital")]
        refer.take(here, SENDER, order())
        assert orphans.of_site(here, "north") == []

    def test_is_told_as_a_change(self, here: Bridge) -> None:
        with here.store.reading() as tx:
            [message] = tx.rows(select(referrals_raw.c.id))
            assert [one.action for one in audit.of_subject(tx, "north", f"message/{message.id}")] == ["unreadable"]


def test_what_is_not_fhir_is_kept_and_told_though_nobody_knows_which_referral_it_is(here: Bridge, clock: Clock) -> None:
    left_over(here, clock, Incoming(TASK, b'{"resourceType":"Task"}', {"resourceType": "Task"}, BASE))
    left_over(here, clock, order())
    clock.now += resume.PATIENCE
    resume.resume_due(here)
    assert stored(here) == ([400, 201], 0)


def test_a_failure_of_ours_is_kept_and_holds_up_no_other(here: Bridge, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    left_over(here, clock, order())
    clock.now += resume.PATIENCE

    def fails(*said: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(resume.refer, "take", fails)
    resume.resume_due(here)
    assert stored(here) == ([500], 0)
    [one] = orphans.of_site(here, "north")
    assert "the bridge itself failed: ZeroDivisionError" in one["do"]
