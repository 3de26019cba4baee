"""Two tenants at one bridge: every route, made from the application's own list, for everybody who might call it.

A route without a line in `route_table.py` fails here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from route_table import OWN, ROUTES, Route
from signing import TOKEN
from structlog.testing import CapturingLogger
from test_fhir_door import push, sent
from web_session import SESSION
from werkzeug.routing import Rule

from fhir_bridge import bootstrap
from fhir_bridge.settings import Secret, Settings, Site
from fhir_bridge.store import clients, sign_in, subscriptions
from fhir_bridge.store.clients import Client
from fhir_bridge.store.subscriptions import Subscription
from fhir_bridge.store.tables import audit_heads, records
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app

APPOINTMENT = Path(__file__).parents[2] / "fixtures/cases/monitored-clinic-visit/appointment-1.json"
SENT = sent("service-request")
#: everybody who might call: tenant, kind, id
CALLERS = {
    "the clinic": ("north", "clinic", "c1"),
    "another tenant's clinic": ("south", "clinic", "c1"),
    "the hospital": ("north", "hospital", "h1"),
    "another hospital": ("north", "hospital", "h2"),
    "another tenant's hospital": ("south", "hospital", "h1"),
    "an admin program": ("north", "admin", "a1"),
    "a revoked clinic": ("north", "clinic", "gone"),
    "a revoked hospital": ("north", "hospital", "gone-too"),
}
NOBODY = "nobody"
#: what every caller tries besides: to name the tenant himself
CLAIMED = {"X-Tenant": "north", "X-Tenant-Id": "north", "X-Site": "north", "X-Forwarded-Host": "north.example"}


@dataclass
class World:
    """A bridge where the tenant `north` has a session, an appointment and a hospital's referral, and `south` has nothing."""

    app: Flask
    bridge: Bridge
    keys: dict[str, str]
    things: dict[str, str]
    sent: dict[str, Any] = field(default_factory=dict)

    def caller(self, name: str) -> FlaskClient:
        found = self.app.test_client()
        if name in self.keys:
            found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.keys[name]}"
        return found

    def call(self, name: str, line: str, **headers: str) -> Any:
        route, (method, rule) = ROUTES[line], line.split(" ", 1)
        for place, thing in route.ids.items():
            rule = rule.replace(next(part for part in _places(rule) if part.endswith(f":{place}>")), self.things[thing])
        body = {"json": self.sent.get(str(route.body), route.body)} if route.body is not None else {}
        return self.caller(name).open(rule, method=method, headers=CLAIMED | headers, buffered=True, **body)

    def state(self) -> str:
        """Everything north has; equal before and after what must change nothing."""
        with self.bridge.store.reading() as tx:
            rows = [*tx.rows(records.select()), *tx.rows(audit_heads.select())]
        return sha256(str([row for row in rows if row.tenant == "north"]).encode()).hexdigest()


def _places(rule: str) -> list[str]:
    return [part for part in rule.split("/") if part.startswith("<")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    file = tmp_path_factory.mktemp("tenants") / "bridge.sqlite"
    sites = MappingProxyType({name: Site(name) for name in ("north", "south")})
    given = Settings(database_url=Secret(f"sqlite:///{file}"), sites=sites, refusals_per_minute=0)  # a matrix of refusals
    bootstrap.prepare(given)
    bridge = bootstrap.bridge(given)
    with bridge.store.transaction() as tx:
        keys = {name: clients.add(tx, tenant=tenant, id=id, name=id, kind=kind, now=tx.now) for name, (tenant, kind, id) in CALLERS.items()}
        for tenant, _, id in CALLERS.values():
            assert "gone" not in id or clients.revoke(tx, tenant=tenant, id=id, now=tx.now)
    found = World(create_app(bridge, log=CapturingLogger()), bridge, keys, {"page": "swagger-ui.css", "version": "1", "attachment": "01"})
    _furnish(found)
    yield found
    bridge.store.close()


def _furnish(world: World) -> None:
    clinic, hospital = world.caller("the clinic"), world.caller("the hospital")
    appointment = json.loads(APPOINTMENT.read_text())
    assert clinic.post("/api/v1/sessions", json=SESSION).status_code == 202
    assert clinic.post("/api/v1/appointments", json=appointment).status_code == 202
    order = push(hospital, SENT)
    assert order.status_code == 201
    with world.bridge.store.transaction() as tx:
        subscriptions.put(tx, Subscription("north", "general", "Task", sha256(b"guess").hexdigest(), "1", "active", tx.now))
    task = hospital.get("/fhir/Task").json["entry"][0]["resource"]
    world.sent |= {f"the {kind} as it is read": read for kind, read in (("ServiceRequest", order.json), ("Task", task))}
    world.things |= {
        "session": SESSION["id"],
        "appointment": appointment["follow_up"]["id"],
        "referral": clinic.get("/api/v1/referrals").json["referrals"][0]["id"],
        "ServiceRequest": order.json["id"],
        "Task": task["id"],
        "token": "guess",
        "Patient": order.json["subject"]["reference"].removeprefix("Patient/"),
    }


def lines(app: Flask) -> set[str]:
    """`METHOD rule` for every route; HEAD and OPTIONS are Flask's own, of the same route."""

    def of(rule: Rule) -> set[str]:
        return {f"{method} {rule.rule}" for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}

    return {line for rule in app.url_map.iter_rules() for line in of(rule)}


def test_every_route_has_a_line_in_the_table_and_every_line_a_route(world: World) -> None:
    served = lines(world.app)
    assert served - ROUTES.keys() == set(), "say in tests/web/route_table.py who may come in there"
    assert ROUTES.keys() - served == set(), "tests/web/route_table.py speaks of routes that are not served"
    assert all(route.why for route in ROUTES.values())


def expected(route: Route, caller: str) -> str | int:
    """What `caller` hears at `route`: OWN when let in, or a status."""
    kind, own = CALLERS.get(caller, ("", "", ""))[1], {"clinic": "the clinic", "hospital": "the hospital"}
    if route.door == "open":
        return OWN
    if kind != route.door or "revoked" in caller:
        return 401
    return OWN if caller == own[route.door] else route.foreign


@pytest.mark.parametrize("line", ROUTES)
@pytest.mark.parametrize("caller", [*CALLERS, NOBODY])
def test_every_route_for_everybody(world: World, caller: str, line: str) -> None:
    before, answer = world.state(), world.call(caller, line)
    wanted = expected(ROUTES[line], caller)
    if wanted == OWN:
        refused = (401, 403, 404) if line != f"POST {TOKEN}" else ()
        assert answer.status_code not in refused, answer.data
        assert answer.status_code < 500
    else:
        assert answer.status_code == wanted, answer.data
    if caller not in ("the clinic", "the hospital"):
        assert world.state() == before
        for word in (SESSION["patient"]["family_name"], SENT["contained"][0]["name"][0]["family"], SESSION["id"], world.things["Task"]):
            assert word.encode() not in answer.data, "something of another's is in the answer"


def test_the_matrix_would_find_a_leak(world: World) -> None:
    """The hospital's own answer holds the words that must not be in a stranger's."""
    assert SENT["contained"][0]["name"][0]["family"].encode() in world.call("the hospital", "GET /fhir/Patient/<string:id>").data
    assert world.things["Task"].encode() in world.call("the hospital", "GET /fhir/Task").data
    assert SESSION["patient"]["family_name"].encode() in world.call("the clinic", "GET /api/v1/sessions/<string:record_id>").data


def token(world: World, scopes: str) -> str:
    with world.bridge.store.transaction() as tx:
        client = clients.of_id(tx, "north", "h1")
        assert client is not None
        return sign_in.give_token(tx, client, scopes=scopes, now=tx.now, ends_at=tx.now + timedelta(minutes=5))


@pytest.mark.parametrize("line", [line for line, route in ROUTES.items() if route.door == "hospital"])
def test_below_fhir_every_route_needs_its_scope_and_no_other(world: World, line: str) -> None:
    kind, _, letter = ROUTES[line].scope.partition(".")
    others = f"system/{kind}.{'cruds'.replace(letter, '')} system/Observation.cruds"
    with_it = world.call("the hospital", line, Authorization=f"Bearer {token(world, f'system/{kind}.{letter}')}")
    assert with_it.status_code not in (401, 403, 404), with_it.data
    without = world.call("the hospital", line, Authorization=f"Bearer {token(world, others)}")
    assert (without.status_code, without.json["issue"][0]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("named", ["tenant", "site", "client"])
def test_a_tenant_that_a_body_names_is_refused_and_not_believed(world: World, named: str) -> None:
    refused = world.caller("another tenant's clinic").post("/api/v1/sessions", json=SESSION | {named: "north"})
    assert (refused.status_code, refused.json["faults"][0]["path"]) == (422, named)


def test_two_tenants_may_give_two_records_one_id(world: World) -> None:
    south, before = world.caller("another tenant's clinic"), world.state()
    theirs = SESSION | {"id": "S-BOTH", "patient": SESSION["patient"] | {"family_name": "Southerner"}}
    assert south.post("/api/v1/sessions", json=theirs).status_code == 202
    assert world.state() == before
    assert world.caller("the clinic").get("/api/v1/sessions/S-BOTH").status_code == 404
    assert world.caller("the clinic").post("/api/v1/sessions", json=SESSION | {"id": "S-BOTH"}).status_code == 202
    assert south.get("/api/v1/sessions/S-BOTH").json["record"]["patient"]["family_name"] == "Southerner"


def test_a_client_of_a_site_that_is_no_longer_set_comes_in_nowhere(world: World) -> None:
    with world.bridge.store.transaction() as tx:
        clients.register(tx, Client("closed", "c1", "c1", "clinic", tx.now))
        key = clients.give_key(tx, tenant="closed", id="c1", now=tx.now)
    assert world.call(NOBODY, "GET /api/v1/referrals", Authorization=f"Bearer {key}").status_code == 401
