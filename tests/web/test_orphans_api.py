"""What nobody moves, over HTTP: loops by their state, and orders that could not be fetched, page by page, and to nobody else."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from test_fhir_conditional import numbered
from test_fhir_door import push

from fhir_bridge.store import fetches, senders
from fhir_bridge.store.senders import Sender
from fhir_bridge.sync.bridge import Bridge

AT = "/api/v1/referrals/orphans"
ELSEWHERE = "https://fhir.hospital.example"


def orphans(client: FlaskClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"{AT}?{query}")
    assert answer.status_code == 200, answer.data
    description = client.get("/openapi.json").json
    jsonschema_rs.validate({"$ref": "#/components/schemas/OrphanPage", "components": description["components"]}, answer.json)
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture
def stuck(clinic: Callable[..., FlaskClient], bridge: Bridge) -> str:
    """The Task whose order could not be fetched; beside it two referrals that nobody answers."""
    hospital = clinic(kind="hospital")
    with bridge.store.transaction() as tx:
        senders.put(tx, Sender("north", "north-hospital", origin=ELSEWHERE))
    order = {"reference": f"{ELSEWHERE}/r4/ServiceRequest/1"}
    task = push(hospital, {"resourceType": "Task", "status": "requested", "intent": "order", "focus": order}, "/fhir/Task")
    assert task.status_code == 201
    with bridge.store.transaction() as tx:
        claimed = fetches.claim(tx, seconds=60)
        assert claimed is not None
        assert fetches.settle(
            tx, claimed, state="failed", next_at=None, why="the sender's server answered 404 instead of the ServiceRequest"
        )
    for number in ("1", "2"):
        assert push(hospital, numbered(number)).status_code == 201
    id: str = task.json["id"]
    return id


def test_an_order_that_could_not_be_fetched_is_told_with_who_must_act(stuck: str, north: FlaskClient):
    [found] = orphans(north)["orphans"]
    assert (found["id"], found["status"], found["stuck"], found["who"]) == (stuck, "submitted", "not-fetched", "hospital")
    assert "answered 404" in found["do"]
    assert north.get("/api/v1/referrals?orphan=true").json == {"referrals": []}  # there is no referral of it


def test_loops_are_told_by_their_state_or_by_days(stuck: str, north: FlaskClient, bridge: Bridge):
    assert [one["stuck"] for one in orphans(north, "days=0")["orphans"]] == ["not-fetched", "unheard", "unheard"]
    assert len(orphans(north, "days=3650")["orphans"]) == 1
    bridge.store._clock = lambda: datetime.now(UTC) + timedelta(days=4)
    assert [one["who"] for one in orphans(north)["orphans"]] == ["hospital", "admin", "admin"]


def test_they_come_page_by_page_the_longest_stuck_first(stuck: str, north: FlaskClient):
    whole = orphans(north, "days=0")["orphans"]
    seen, page = list[Any](), orphans(north, "days=0&limit=1")
    while True:
        seen += page["orphans"]
        if "next" not in page:
            break
        page = orphans(north, f"days=0&limit=1&cursor={page['next']}")
    assert seen == whole
    assert [one["since"] for one in whole] == sorted(one["since"] for one in whole)


def test_another_sites_clinic_sees_none_of_it(stuck: str, clinic: Callable[..., FlaskClient]):
    assert orphans(clinic("south"), "days=0") == {"orphans": []}


@pytest.mark.parametrize("query", ["days=x", "days=-1", "days=3651", "limit=0", "limit=201", "cursor=x", "days=%C2%B2"])
def test_what_cannot_be_asked_is_refused(north: FlaskClient, query: str):
    assert north.get(f"{AT}?{query}").status_code == 400
