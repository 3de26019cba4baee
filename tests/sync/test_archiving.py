"""`db archive`: finished deliveries leave the tables of work, the clinic is told of them as before, and the trail says who did it."""

from typing import Any

from ward import Clock, post, state, work

from fhir_bridge.store import audit
from fhir_bridge.sync import archiving, status
from fhir_bridge.sync.bridge import Bridge


def test_what_was_put_away_is_told_as_before(bridge: Bridge, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    told = status.of_record(bridge, tenant="default", kind="session", id=session["id"])
    clock.pass_(days=31)
    assert archiving.archive(bridge, days=32, who="dba") == 0
    assert archiving.archive(bridge, days=30, who="dba") == 1
    assert status.of_record(bridge, tenant="default", kind="session", id=session["id"]) == told
    assert state(bridge, session)["state"] == "delivered"


def test_the_trail_says_who_and_how_many(bridge: Bridge, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    clock.pass_(days=1)
    archiving.archive(bridge, days=0, who="dba")
    archiving.archive(bridge, days=0, who="dba")
    with bridge.store.reading() as tx:
        [row] = audit.of_subject(tx, "default", "deliveries")
        assert (row.actor, row.action, b'"deliveries":1' in row.detail) == ("dba", "archive", True)
        assert audit.verify(tx, "default", bridge.audit_key) is None


def test_a_corrected_session_follows_one_that_was_put_away(bridge: Bridge, clock: Clock, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    clock.pass_(days=1)
    archiving.archive(bridge, days=0, who="dba")
    post(bridge, session | {"version": 2, "correction": {"reason": "Weight", "at": "2026-03-03T12:00:00Z"}})
    work(bridge)
    assert (state(bridge, session)["version"], state(bridge, session)["state"]) == (2, "delivered")
