"""The hospital goes on working, and its server goes on failing, while it is read: nothing is passed by, nothing is taken twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pulling import change, delivered, pulled, short, state
from test_pull_ways import NO_HISTORY, narrowed
from ward import Clock, Spoiled, Ward, post

from fhir_bridge.errors import Refused
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.store import Store as Chart
from fhir_bridge.store import outbox, pulls
from fhir_bridge.store.pulls import Pull
from fhir_bridge.sync.bridge import Bridge


@dataclass
class Clocks:
    """The hospital's clock, so far from ours."""

    ours: Clock
    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return self.ours() + self.ahead


@pytest.fixture
def theirs(clock: Clock) -> Clocks:
    return Clocks(clock)


@pytest.fixture
def hospital(theirs: Clocks) -> Iterator[Ward]:
    chart = Chart(clock=theirs)
    spoiled = Spoiled(create_app(load("hapi"), store=chart))
    with running(spoiled) as server:
        yield Ward(server.base_url, chart, spoiled)


@pytest.fixture
def there(bridge: Bridge, clock: Clock, hospital: Ward, session: dict[str, Any]) -> Bridge:
    """A session is at the hospital and was read once; then, an hour later, six readings changed there."""
    delivered(bridge, session)
    assert pulled(bridge).whole
    clock.pass_(hours=1)
    for number in range(6):
        change(hospital, "Observation", number=number, note=[{"text": "Looked at again"}])
    return bridge


def row(bridge: Bridge, kind: str = "Observation") -> Pull:
    with bridge.store.reading() as tx:
        return pulls.of(tx, "default", "general", kind)


def once(act: Callable[[], object]) -> Callable[[str], None]:
    """A listener that acts at the first page."""
    left = [act]
    return lambda words: left.pop()() and None if left and "page" in words else None


def test_a_search_that_expires_between_two_pages_is_begun_again(there: Bridge, hospital: Ward) -> None:
    bridge = narrowed(there, NO_HISTORY)
    server = hospital.spoiled.app.extensions["sandbox"]  # type: ignore[attr-defined]
    found = pulled(bridge, "Observation", page_size=1, tell=once(server.pages.forget))
    assert (found.whole, found.counts["changed"]) == (True, 6)
    assert "known" in found.counts


def test_a_crawl_that_was_cut_short_goes_on_at_its_page(there: Bridge, hospital: Ward) -> None:
    before = row(there).watermark
    hospital.spoiled.after("GET", 1, 503)
    first = pulled(there, "Observation", page_size=2)
    assert (first.whole, first.counts["changed"]) == (False, 2)
    assert (row(there).watermark, row(there).next_page is not None) == (before, True)
    asked = len(hospital.spoiled.calls)
    second = pulled(there, "Observation", page_size=2)
    assert (second.whole, second.counts["changed"]) == (True, 4)
    assert hospital.spoiled.calls[asked] == "GET /fhir/Observation/_history"
    assert row(there).watermark != before


def test_what_changes_while_it_is_read_is_found_by_reading_the_first_page_again(there: Bridge, hospital: Ward) -> None:
    late = lambda: change(hospital, "Observation", number=3, note=[{"text": "And once more"}])  # noqa: E731
    found = pulled(there, "Observation", page_size=2, tell=once(late))
    assert found.whole
    assert state(there, late()).version == "3"


def test_the_watermark_is_the_hospitals_time_of_the_first_page(there: Bridge, clock: Clock, theirs: Clocks) -> None:
    theirs.ahead = timedelta(minutes=3)
    found = pulled(there, "Observation", page_size=2, tell=once(lambda: clock.pass_(seconds=40)))
    assert row(there).watermark == clock.now - timedelta(seconds=40) + timedelta(minutes=3)
    [said] = found.notes
    assert said.startswith("the hospital's clock is more than a minute ahead of ours")


def test_a_hospital_whose_clock_is_behind_loses_nothing(there: Bridge, hospital: Ward, clock: Clock, theirs: Clocks) -> None:
    pulled(there)
    theirs.ahead = -timedelta(minutes=9)
    clock.pass_(hours=1)
    moved = change(hospital, "Appointment", status="cancelled")
    pulled(there)
    assert state(there, moved).version == "2"


def test_a_write_whose_end_nobody_knows_holds_the_watermark_back(
    there: Bridge, hospital: Ward, clock: Clock, session: dict[str, Any]
) -> None:
    again = short(session) | {"version": 2, "correction": {"reason": "misread", "at": "2026-03-03T08:00:00-05:00"}}
    post(there, again)
    with there.store.transaction() as tx:
        lease = outbox.lease(tx, worker="slow", seconds=9999)
        assert lease is not None
        delivery = outbox.next_delivery(tx, lease, tx.now)
        assert delivery is not None
        outbox.begin_attempt(tx, lease, delivery, step="transaction:x", request_id="r", body_sha256="0")
        begun = tx.now
    clock.pass_(minutes=30)
    found = pulled(there, "Observation")
    assert found.counts["being written"] == found.counts["entries"]
    assert row(there).watermark == begun


def test_two_pullers_of_one_type_are_one(there: Bridge, clock: Clock) -> None:
    inner: list[tuple[str, ...]] = []
    found = pulled(there, "Observation", page_size=2, tell=once(lambda: inner.append(pulled(there, "Observation").notes)))
    assert inner == [("Observation: another puller reads it now",)]
    assert (found.whole, found.counts["changed"]) == (True, 6)


def test_a_puller_that_was_overtaken_writes_nothing_more(there: Bridge, clock: Clock) -> None:
    def overtake() -> None:
        clock.pass_(seconds=there.lease_seconds + 1)
        assert pulled(there, "Observation").whole

    found = pulled(there, "Observation", page_size=2, tell=once(overtake))
    assert (found.whole, found.notes) == (False, ("another puller reads Observation now",))
    assert row(there).lease_until is None
    assert "changed" not in pulled(there, "Observation").counts


def test_a_run_that_is_asked_to_stop_stops_between_two_pages(there: Bridge) -> None:
    told: list[str] = []
    found = pulled(there, "Observation", page_size=2, tell=told.append, stopping=lambda: len(told) > 0)
    assert (found.whole, found.counts["changed"]) == (False, 2)
    assert pulled(there, "Observation", page_size=2).counts["changed"] == 4


def test_who_nobody_knows_is_refused(there: Bridge) -> None:
    with pytest.raises(Refused):
        pulled(there, "Basic")
    with pytest.raises(Refused):
        pulled(replace(there, hospitals={}))
