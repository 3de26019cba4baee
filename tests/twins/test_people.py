"""What people see of a hospital and what they may do: cards, many at once, pause and resume, a statement that changed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from twins_rig import Doc, Rig

from fhir_bridge.errors import Refused
from fhir_bridge.sandbox.profile import Hospital as Twin
from fhir_bridge.sandbox.rules import Rule
from fhir_bridge.store import audit, dead_letters
from fhir_bridge.sync import status
from fhir_bridge.sync.delivery import hospital_state, stopped
from fhir_bridge.sync.delivery.stopped import Which

GRUMPY = Rule(type="Encounter", path="language", text="Encounter.language is required", needs=1)


def grumpy(twin: Twin) -> Twin:
    """A HAPI that refuses every Encounter, so that every session stops."""
    return replace(twin, behaviour=replace(twin.behaviour, rules=(GRUMPY,)))


def several(rig: Rig, visit: Doc, count: int) -> list[Doc]:
    """So many stopped sessions, each of another patient."""
    made = []
    for number in range(count):
        session = visit | {"id": f"S-{number}", "patient": visit["patient"] | {"id": f"P-{number}"}}
        session.pop("follow_up", None)
        made.append(session)
        assert rig.deliver(session)["state"] == "dead"
    return made


def trail(rig: Rig, subject: str) -> list[tuple[str, str, Any]]:
    with rig.bridge.store.reading() as tx:
        assert audit.verify(tx, "default", rig.bridge.audit_key) is None
        return [(one.actor, one.action, json.loads(one.detail)) for one in audit.of_subject(tx, "default", subject)]


def test_a_stopped_delivery_is_a_card_in_the_status_and_in_the_records_answer(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("hapi", grumpy)
    delivery = here.deliver(visit)
    (dead,) = status.overview(here.bridge)["dead"]
    assert dead["card"] == delivery["card"]
    assert (dead["card"]["who"], dead["card"]["retry_safe"]) == ("clinic", True)
    assert any("Encounter.language is required" in words for words in dead["card"]["server_said"])
    assert (dead["record"], dead["hospital"], dead["reason"]) == (f"session/{visit['id']}", "general", "refused")


def test_a_lane_that_stands_still_tells_its_age_and_cause(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("hapi", grumpy)
    here.deliver(visit)
    here.clock.pass_(hours=3)
    (lane,) = status.overview(here.bridge)["blocked"]
    assert (lane["cause"], lane["reason"], lane["age_seconds"], lane["behind"]) == ("dead", "refused", 3 * 3600, 0)


def test_many_are_discarded_at_once_and_each_is_in_the_audit_trail(rig: Callable[..., Rig], visit: Doc, monkeypatch: Any) -> None:
    monkeypatch.setattr(stopped, "AT_ONCE", 2)
    here = rig("hapi", grumpy)
    several(here, visit, 3)
    dead = [one["id"] for one in status.overview(here.bridge)["dead"]]
    count = stopped.discard_many(here.bridge, Which("default", hospital="general"), who="ann", why="the hospital merged")
    assert (count.done, status.overview(here.bridge)["dead"]) == (3, [])
    told = [{"hospital": "general", "record": f"session/{id}", "version": 1, "why": "the hospital merged"} for id in ("S-0", "S-1", "S-2")]
    assert sorted((trail(here, id) for id in dead), key=str) == [[("ann", "discard", one)] for one in told]


def test_many_are_tried_again_at_once_by_the_reason_they_stopped_for(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("hapi", grumpy)
    sessions = several(here, visit, 2)
    assert stopped.retry_many(here.bridge, Which("default", reason="duplicates"), who="ann").done == 0
    assert stopped.retry_many(here.bridge, Which("other"), who="ann").done == 0
    assert stopped.retry_many(here.bridge, Which("default", reason="refused"), who="ann").done == 2
    assert [here.state(session)["state"] for session in sessions] == ["pending", "pending"]


def test_what_a_retry_could_double_is_left_alone_when_many_are_tried(
    rig: Callable[..., Rig], visit: Doc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopped, "AT_ONCE", 2)
    here = rig("hapi", grumpy)
    several(here, visit, 3)
    with here.bridge.store.transaction() as tx:
        (first, *_) = dead_letters.dead(tx)
        _stop_as(tx, first, "unsearchable")
    count = stopped.retry_many(here.bridge, Which("default"), who="ann")
    assert (count.done, count.left) == (2, 1)
    assert [one["reason"] for one in status.overview(here.bridge)["dead"]] == ["unsearchable"]


def test_nothing_is_sent_to_a_paused_hospital_and_who_and_why_are_told(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("hapi")
    hospital_state.pause(here.bridge, tenant="default", hospital="general", who="ann", why="maintenance")
    assert here.deliver(visit)["state"] == "pending"
    assert not here.chart.log
    overview = status.overview(here.bridge)
    assert overview["hospitals"][0]["paused"] | {"since": ""} == {"since": "", "by": "ann", "why": "maintenance"}
    assert [lane["cause"] for lane in overview["blocked"]] == ["paused"]
    with pytest.raises(Refused, match="paused already"):
        hospital_state.pause(here.bridge, tenant="default", hospital="general", who="bob", why="too")
    hospital_state.resume(here.bridge, tenant="default", hospital="general", who="bob", why="over")
    here.work()
    assert here.state(visit)["state"] == "delivered"
    assert trail(here, "hospital/general") == [("ann", "pause", {"why": "maintenance"}), ("bob", "resume", {"why": "over"})]


def test_a_hospital_nobody_knows_or_that_is_not_paused_is_refused(rig: Callable[..., Rig]) -> None:
    here = rig("hapi")
    with pytest.raises(Refused, match="known: general"):
        hospital_state.pause(here.bridge, tenant="default", hospital="generall", who="ann", why="x")
    with pytest.raises(Refused, match="not paused"):
        hospital_state.resume(here.bridge, tenant="default", hospital="general", who="ann", why="x")


def test_a_statement_that_changed_since_yesterday_is_told_before_it_is_used(rig: Callable[..., Rig], visit: Doc) -> None:
    seen: list[Twin] = []

    def remembered(twin: Twin) -> Twin:
        seen.append(twin)
        return twin

    here = rig("oracle", remembered)
    here.deliver(visit)
    assert "changes" not in status.overview(here.bridge)["hospitals"][0]["statement"]
    rest = seen[0].statement["rest"][0]
    rest["interaction"] = []
    here.clock.pass_(hours=25)
    sent = len(here.chart.log)
    here.deliver(visit | {"id": "S-2", "patient": visit["patient"] | {"id": "P-2"}})
    assert len(here.chart.log) > sent
    told = status.overview(here.bridge)["hospitals"][0]["statement"]
    assert told["changes"] == ["The server lost the interaction batch."]
    assert trail(here, "hospital/general") == [("worker", "statement-changed", {"changes": told["changes"]})]


def _stop_as(tx: Any, delivery: Any, reason: str) -> None:
    from sqlalchemy import update

    from fhir_bridge.store.tables import deliveries

    where = [deliveries.c[name] == getattr(delivery, name) for name in ("tenant", "hospital", "lane", "seq")]
    tx.execute(update(deliveries).where(*where).values(reason=reason))
