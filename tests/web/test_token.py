"""A hospital signs in with its key (SMART Backend Services) and gets a token for five minutes, good for what it may do."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from signing import AUDIENCE, SCOPE, TOKEN, Signer, claims, form, pair, public, register, rsa_pair, signed
from structlog.testing import CapturingLogger
from test_fhir_door import push, sent, stored

from fhir_bridge.clock import utc_now
from fhir_bridge.hospital.backend_services import BackendServices
from fhir_bridge.hospital.client import Call, Client
from fhir_bridge.hospital.exchange import Reply
from fhir_bridge.sandbox.running import Running, running
from fhir_bridge.store import audit, clients
from fhir_bridge.store.sign_in_tables import access_tokens, used_proofs
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app

ORDER = sent("service-request")


@pytest.fixture
def signer(app: Flask, bridge: Bridge) -> Signer:
    found = Signer(app.test_client())
    register(bridge, public(found.key))
    return found


def test_a_signed_assertion_gets_a_token_for_five_minutes(signer: Signer, bridge: Bridge) -> None:
    answer = signer.ask()
    assert answer.status_code == 200
    assert {name: answer.json[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "bearer",
        "expires_in": 300,
        "scope": SCOPE,
    }
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    with bridge.store.reading() as tx:
        [given] = tx.rows(access_tokens.select())
    assert given.ends_at - given.created_at == timedelta(seconds=300)
    assert answer.json["access_token"] not in str(given)


def test_both_algorithms_of_the_standard_are_taken(app: Flask, bridge: Bridge) -> None:
    keys = rsa_pair(), pair()
    register(bridge, public(*keys))
    assert all(Signer(app.test_client(), key).token() for key in keys)


def test_with_the_token_a_referral_is_taken_of_the_tokens_client_and_tenant(signer: Signer, bridge: Bridge) -> None:
    signer.door.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {signer.token()}"
    assert push(signer.door, ORDER).status_code == 201
    assert len(stored(bridge)) == 1


def test_a_token_ends(signer: Signer, bridge: Bridge) -> None:
    signer.door.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {signer.token()}"
    assert signer.door.get("/fhir/ServiceRequest/none").status_code == 404
    with bridge.store.transaction() as tx:
        tx.execute(access_tokens.update().values(ends_at=tx.now))
    assert signer.door.get("/fhir/ServiceRequest/none").status_code == 401


def test_a_revoked_client_has_no_token_any_more_and_gets_none(signer: Signer, bridge: Bridge) -> None:
    signer.door.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {signer.token()}"
    with bridge.store.transaction() as tx:
        assert clients.revoke(tx, tenant="north", id="general", now=tx.now)
    assert signer.door.get("/fhir/ServiceRequest/none").status_code == 401
    assert signer.ask().status_code == 401


def test_what_is_granted_is_what_is_asked_and_registered(signer: Signer) -> None:
    assert signer.ask(scope="system/ServiceRequest.cruds system/Patient.r").json["scope"] == "system/ServiceRequest.crs"
    assert signer.ask(scope="system/*.r").json["scope"] == "system/ServiceRequest.r"
    assert signer.ask(scope="system/ServiceRequest.read").json["scope"] == "system/ServiceRequest.read"
    for none in ("system/Task.c", "user/ServiceRequest.c", "openid", ""):
        refused = signer.ask(scope=none)
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("method", "address", "scope", "others"),
    [
        ("POST", "/fhir/ServiceRequest", "system/ServiceRequest.c", "system/ServiceRequest.rs"),
        ("POST", "/fhir", "system/ServiceRequest.c", "system/ServiceRequest.rs"),
        ("POST", "/fhir/$process-message", "system/ServiceRequest.write", "system/ServiceRequest.read"),
        ("GET", "/fhir/ServiceRequest/none", "system/ServiceRequest.r", "system/ServiceRequest.cs"),
    ],
)
def test_below_fhir_each_route_needs_its_scope(signer: Signer, method: str, address: str, scope: str, others: str) -> None:
    with_scope = {"Authorization": f"Bearer {signer.token(scope=scope)}"}
    without = {"Authorization": f"Bearer {signer.token(scope=others)}"}
    refused = signer.door.open(address, method=method, headers=without, data=b"{")
    assert (refused.status_code, refused.json["resourceType"]) == (403, "OperationOutcome")
    assert refused.json["issue"][0]["code"] == "forbidden"
    assert signer.door.open(address, method=method, headers=with_scope, data=b"{").status_code in (400, 404, 415)


def test_a_token_opens_no_door_of_the_clinic(signer: Signer) -> None:
    assert signer.door.post("/api/v1/sessions", headers={"Authorization": f"Bearer {signer.token()}"}).status_code == 401


def test_what_ended_is_forgotten_bit_by_bit(signer: Signer, bridge: Bridge) -> None:
    for _ in range(3):
        signer.token()
    with bridge.store.transaction() as tx:
        tx.execute(access_tokens.update().values(ends_at=tx.now))
        tx.execute(used_proofs.update().values(ends_at=tx.now))
    signer.token()
    with bridge.store.reading() as tx:
        assert (len(tx.rows(access_tokens.select())), len(tx.rows(used_proofs.select()))) == (1, 1)


def test_a_token_given_is_in_the_audit_trail_and_in_no_log(signer: Signer, bridge: Bridge, log: CapturingLogger) -> None:
    assertion = signed(signer.key, claims())
    token = signer.door.post(TOKEN, data=form(assertion)).json["access_token"]
    push(signer.door, ORDER, Authorization=f"Bearer {token}")
    signer.door.post(TOKEN, data=form(assertion))  # a replay is refused, and says in the log why
    with bridge.store.reading() as tx:
        assert [entry.action for entry in audit.of_subject(tx, "north", "client/general")] == ["issue-token"]
    lines = str(log.calls)
    assert "jti was used before" in lines
    for secret in (token, *assertion.split("."), "general/"):
        assert secret not in lines


def test_a_form_that_is_none_is_told_so(signer: Signer) -> None:
    twice = "grant_type=client_credentials&grant_type=client_credentials"
    for body, kind in ((twice, "application/x-www-form-urlencoded"), ("{}", "application/json")):
        refused = signer.door.post(TOKEN, data=body, content_type=kind)
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_request")


def test_the_configuration_is_open_and_names_the_token_endpoint_that_is_set_and_never_a_strangers_host(app: Flask, bridge: Bridge) -> None:
    address = "/fhir/.well-known/smart-configuration"
    told = app.test_client().get(address).json
    assert told["token_endpoint"] == AUDIENCE
    assert told["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert app.test_client().get(address, headers={"Host": "evil.example"}).status_code == 503


def test_where_an_address_of_ours_is_set_it_is_the_audience_whatever_the_request_says(bridge: Bridge) -> None:
    here = replace(bridge, public_url="https://bridge.clinic.example")
    door, key = create_app(here, log=CapturingLogger()).test_client(), pair()
    register(here, public(key))
    assert door.get("/fhir/.well-known/smart-configuration").json["token_endpoint"] == "https://bridge.clinic.example/oauth/token"
    meant = {
        "ours": "https://bridge.clinic.example/oauth/token",
        "the host's": AUDIENCE,
        "a stranger's": "https://evil.example/oauth/token",
    }
    told = {
        name: door.post(TOKEN, data=form(signed(key, claims(aud=audience))), headers={"Host": "evil.example"}).status_code
        for name, audience in meant.items()
    }
    assert told == {"ours": 200, "the host's": 401, "a stranger's": 401}


def test_links_lead_to_our_own_address_whatever_the_request_says(bridge: Bridge) -> None:
    here = replace(bridge, public_url="https://bridge.clinic.example")
    register(here, public(key := pair()))
    door = create_app(here, log=CapturingLogger()).test_client()
    token = door.post(TOKEN, data=form(signed(key, claims(aud="https://bridge.clinic.example/oauth/token")))).json["access_token"]
    created = push(door, ORDER, Authorization=f"Bearer {token}", Host="evil.example")
    assert created.headers["Location"].startswith("https://bridge.clinic.example/fhir/ServiceRequest/")
    assert (
        door.get("/fhir/metadata", headers={"Host": "evil.example"}).json["implementation"]["url"] == "https://bridge.clinic.example/fhir"
    )


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [(0, "10.1.1.1", 401), (1, "10.1.1.1", 200), (1, "10.1.1.1, 192.0.2.1", 401), (1, "192.0.2.1, 10.1.1.1", 200), (1, "", 401)],
)
def test_who_calls_is_told_by_the_proxies_that_are_set_and_by_nobody_else(
    bridge: Bridge, proxies: int, forwarded: str, status: int
) -> None:
    here, key = replace(bridge, proxies=proxies), pair()
    register(here, public(key), networks="10.0.0.0/8")
    door = create_app(here, log=CapturingLogger()).test_client()
    assert door.post(TOKEN, data=form(signed(key, claims())), headers={"X-Forwarded-For": forwarded}).status_code == status


@pytest.fixture
def served(bridge: Bridge, log: CapturingLogger) -> Iterator[Running]:
    with running(create_app(bridge, log=log)) as found:
        yield found


def backend_services(served: Running, key: Any) -> BackendServices:
    """Our own half that signs in to hospitals."""
    return BackendServices(
        served.base_url, client_id="general", key=key.as_dict(private=True), scope=SCOPE, now=utc_now, new_id=lambda: str(uuid.uuid4())
    )


@pytest.mark.parametrize("make", [pair, rsa_pair], ids=["ES384", "RS384"])
def test_our_own_client_finds_signs_in_and_sends_a_referral_over_http(served: Running, bridge: Bridge, make: Any) -> None:
    key = make()
    register(bridge, public(key))
    reply = Client(served.base_url, sign_in=backend_services(served, key)).send(Call("POST", "ServiceRequest", ORDER))
    assert isinstance(reply, Reply)
    assert reply.status == 201
    assert len(stored(bridge)) == 1
