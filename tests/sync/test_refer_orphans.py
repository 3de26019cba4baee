"""A loop that neither side is moving is found, with who must act and what to do; one that somebody has time for is not."""

from datetime import timedelta
from typing import Any

import pytest
from test_matching import refer_, registered  # noqa: F401  # fixtures
from test_refer_session_loop import received
from ward import CLINIC, START, Clock, Ward, post, work

from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox, orphans
from fhir_bridge.sync.referrals.loop import OVER
from fhir_bridge.sync.referrals.orphans import PATIENCE, Loop, judge


def stuck(bridge: Bridge, **asked: Any) -> list[tuple[str, str, str]]:
    return [(one["status"], one["stuck"], one["who"]) for one in orphans.of_site(bridge, "default", **asked)]


@pytest.mark.parametrize("state", sorted(PATIENCE.keys() - {"undecided", "day-past", "unheard"}))
def test_every_state_is_given_its_days_and_not_one_more(state: str) -> None:
    loop, days = Loop("R-1", state, START), PATIENCE[state][0]
    assert judge(loop, START + timedelta(days=days, seconds=-1)) is None
    found = judge(loop, START + timedelta(days=days))
    assert found is not None
    assert (found.stuck, found.days, found.who, found.do) == (state, days, "clinic", PATIENCE[state][1])


@pytest.mark.parametrize("state", sorted(OVER))
def test_what_is_over_is_stuck_only_when_the_hospital_has_not_heard(state: str) -> None:
    late = START + timedelta(days=999)
    assert judge(Loop("R-1", state, START), late) is None
    assert getattr(judge(Loop("R-1", state, START, waiting=START), late), "stuck", "") == "unheard"
    assert getattr(judge(Loop("R-1", state, START, stopped=(START, "hospital", "Ask.")), START), "who", "") == "hospital"


def test_a_referral_nobody_answers_is_found(bridge: Bridge, hospital: Ward, clock: Clock) -> None:
    id = received(bridge)
    work(bridge)
    assert stuck(bridge) == []
    assert stuck(bridge, days=0) == [("received", "received", "clinic")]
    clock.pass_(days=4)
    assert stuck(bridge) == [("received", "received", "clinic")]
    [shown] = inbox.stuck(bridge, "default")
    assert (shown["id"], shown["orphan"]["do"]) == (id, "Accept or decline it.")
    inbox.decide(bridge, CLINIC, id, "accept")
    work(bridge)
    assert stuck(bridge) == []


def test_a_planned_day_that_passed_without_a_session_is_found(bridge: Bridge, hospital: Ward, clock: Clock) -> None:
    id = received(bridge)
    inbox.decide(bridge, CLINIC, id, "accept")
    patient = inbox.listing(bridge, "default")[0]["record"]["patient"]
    planned = {"start": "2026-03-10T09:00:00-05:00", "end": "2026-03-10T12:00:00-05:00"}
    post(bridge, {"id": "S-LATER", "status": "scheduled", "patient": patient, "planned": planned, "referral": {"id": id}})
    work(bridge)
    clock.pass_(days=8)  # the day after
    assert stuck(bridge) == []
    clock.pass_(days=2)
    assert stuck(bridge) == [("scheduled", "day-past", "clinic")]


def test_a_delivery_that_stopped_and_one_that_waits_are_found(bridge: Bridge, hospital: Ward, clock: Clock) -> None:
    received(bridge)
    hospital.spoiled.answers = [("POST", 503), ("PUT", 503)]
    work(bridge)
    clock.pass_(days=2)
    assert stuck(bridge) == [("received", "unheard", "admin")]
    hospital.spoiled.answers = [("POST", 422), ("PUT", 422)]
    work(bridge)
    [found] = orphans.of_site(bridge, "default")
    assert (found["stuck"], found["who"]) == ("stopped", "clinic")
    assert "delivery general/" in found["do"]


def test_a_question_nobody_answers_is_found(bridge: Bridge, clock: Clock, registered: Any, refer_: Any) -> None:  # noqa: F811
    registered(family_name="Testwoman")
    refer_()
    clock.pass_(days=2)
    assert stuck(bridge) == [("received", "undecided", "clinic")]
