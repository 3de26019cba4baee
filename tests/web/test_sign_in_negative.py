"""Every way an assertion can be wrong is refused with the same few words, before anything of a referral is read."""

import hmac
import json
import os
import subprocess
import sys
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from types import MappingProxyType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import assume, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from joserfc import jwe
from signing import TOKEN, Doc, Unread, claims, form, pair, public, register, rsa_pair, signed
from structlog.testing import CapturingLogger

from fhir_bridge import bootstrap
from fhir_bridge.settings import Secret, Settings, Site
from fhir_bridge.store import clients
from fhir_bridge.store.database import Store
from fhir_bridge.store.sign_in_tables import access_tokens
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.web import create_app

EC, RSA, OTHER, TWIN, SMALL, P256 = pair(), rsa_pair(), pair(), pair("twin"), rsa_pair("small", 1024), pair("p256", "P-256")
REGISTERED = public(EC, RSA, TWIN, pair("twin"), SMALL, P256)
HOUR = 3600


def part(told: Any) -> str:
    return urlsafe_b64encode(told if isinstance(told, bytes) else json.dumps(told).encode()).rstrip(b"=").decode()


def ec(*, key: Any = EC, header: Mapping[str, Any] = MappingProxyType({}), **other: Any) -> str:
    """A good assertion but for what is said."""
    return signed(key, claims(**other), **header)


def now(seconds: int = 0) -> int:
    return int(time.time()) + seconds


def by_public_key_as_secret() -> str:
    told = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'r1'})}.{part(claims())}"
    return f"{told}.{part(hmac.digest(RSA.as_pem(private=False), told.encode(), 'sha256'))}"


def with_signature_of(other: str) -> str:
    return ".".join([*ec().split(".")[:2], other.split(".")[2]])


def encrypted() -> str:
    return jwe.encrypt_compact({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "r1"}, json.dumps(claims()), RSA)


def with_a_claim_twice() -> str:
    told = json.dumps(claims())[:-1] + ', "sub": "general"}'
    header, _, signature = ec().split(".")
    return f"{header}.{part(told.encode())}.{signature}"


# name → the assertion, or what else is sent. Each is told `invalid_client`.
WRONG: dict[str, Callable[[], str]] = {
    "none at all": lambda: "",
    "alg none": lambda: f"{part({'alg': 'none', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims())}.",
    "alg none with somebody's signature": lambda: f"{part({'alg': 'none', 'typ': 'JWT', 'kid': 'k1'})}.{part(claims())}.AAAA",
    "HS256 with the public key as the secret": by_public_key_as_secret,
    "RS256": lambda: signed(RSA, claims(), alg="RS256"),
    "ES256 on another curve": lambda: signed(P256, claims(), alg="ES256"),
    "ES384 that names a key on another curve": lambda: ec(header={"kid": "p256"}),
    "RS384 by a key of 1024 bits": lambda: signed(SMALL, claims(), alg="RS384"),
    "ES384 that names an RSA key": lambda: ec(header={"kid": "r1"}),
    "signed by another key": lambda: ec(key=OTHER),
    "the signature of another assertion": lambda: with_signature_of(ec()),
    "a signature cut short": lambda: ec()[:-8],
    "no exp": lambda: ec(exp=None),
    "exp past": lambda: ec(exp=now(-1)),
    "exp more than five minutes away": lambda: ec(exp=now(330)),
    "exp that is no number": lambda: ec(exp="soon"),
    "exp true": lambda: ec(exp=True),
    "nbf in the future": lambda: ec(nbf=now(60)),
    "iat in the future": lambda: ec(iat=now(60)),
    "no aud": lambda: ec(aud=None),
    "another aud": lambda: ec(aud="https://ehr.example/oauth/token"),
    "the FHIR base as aud": lambda: ec(aud="http://localhost/fhir"),
    "aud with something behind it": lambda: ec(aud="http://localhost/oauth/token/"),
    "a list as aud": lambda: ec(aud=["http://localhost/oauth/token"]),
    "iss and sub differ": lambda: ec(sub="somebody"),
    "no iss": lambda: ec(iss=None),
    "no sub": lambda: ec(sub=None),
    "an unknown client": lambda: ec(iss="nobody", sub="nobody"),
    "no jti": lambda: ec(jti=None),
    "an empty jti": lambda: ec(jti=""),
    "no kid": lambda: ec(header={"kid": None}),
    "an unknown kid": lambda: ec(header={"kid": "k9"}),
    "a kid that two keys have": lambda: signed(TWIN, claims()),
    "jku of somebody else": lambda: ec(header={"jku": "https://evil.example/jwks"}),
    "its own key as jwk": lambda: ec(key=OTHER, header={"jwk": OTHER.as_dict(private=False)}),
    "x5u": lambda: ec(header={"x5u": "https://evil.example/chain"}),
    "x5c": lambda: ec(header={"x5c": ["MIIB"]}),
    "crit": lambda: f"{part({'alg': 'ES384', 'kid': 'k1', 'typ': 'JWT', 'crit': ['exp'], 'exp': 1})}.{'.'.join(ec().split('.')[1:])}",
    "encrypted (JWE)": encrypted,
    "of one megabyte": lambda: ec(padding="x" * 1_000_000),
    "of twenty kilobytes": lambda: ec(padding="x" * 20_000),
    "no typ": lambda: ec(header={"typ": None}),
    "another typ": lambda: ec(header={"typ": "at+jwt"}),
    "a claim said twice": with_a_claim_twice,
    "no JSON in it": lambda: f"{part(b'{')}.{part(b'}')}.AAAA",
    "nested a thousand deep": lambda: f"{part(b'[' * 1000)}.{part(claims())}.AAAA",
    "bytes that are no text": lambda: "\udcff.\udcff.\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
}
INVALID_CLIENT = {"error": "invalid_client", "error_description": "The client could not be authenticated."}


@pytest.fixture
def desk(app: Flask, bridge: Bridge) -> FlaskClient:
    register(bridge, REGISTERED)
    return app.test_client()


@pytest.fixture(scope="module")
def one_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """For all of `WRONG`, none of which may leave a trace."""
    file = tmp_path_factory.mktemp("negative") / "bridge.sqlite"
    given = Settings(database_url=Secret(f"sqlite:///{file}"), sites=MappingProxyType({"north": Site("north")}), refusals_per_minute=0)
    bootstrap.prepare(given)
    found = bootstrap.bridge(given)
    register(found, REGISTERED)
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def one_desk(one_bridge: Bridge) -> FlaskClient:
    return create_app(one_bridge, log=CapturingLogger()).test_client()


def assert_refused(answer: Any, told: Doc = INVALID_CLIENT, status: int = 401) -> None:
    assert (answer.status_code, answer.json, answer.content_type) == (status, told, "application/json")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", WRONG)
def test_an_assertion_that_is_wrong_gets_no_token_and_is_told_nothing(one_desk: FlaskClient, one_bridge: Bridge, name: str) -> None:
    assert_refused(one_desk.post(TOKEN, data=form(WRONG[name]())))
    with one_bridge.store.reading() as tx:
        assert tx.rows(access_tokens.select()) == []


def test_the_same_assertion_but_right_gets_one(desk: FlaskClient) -> None:
    assert desk.post(TOKEN, data=form(ec())).status_code == 200
    assert desk.post(TOKEN, data=form(signed(RSA, claims(), alg="RS384"))).status_code == 200


@pytest.mark.parametrize("name", WRONG)
def test_none_of_them_opens_a_door_and_the_body_behind_it_is_not_read(one_desk: FlaskClient, name: str) -> None:
    shown = {"Authorization": f"Bearer {WRONG[name]()}", "Content-Type": "application/fhir+json", "Content-Length": "100"}
    for address in ("/fhir/ServiceRequest", "/fhir/$process-message", "/api/v1/sessions"):
        assert one_desk.post(address, input_stream=Unread(), headers=shown).status_code == 401


def test_a_revoked_client_hears_what_an_unknown_one_hears(desk: FlaskClient, bridge: Bridge) -> None:
    with bridge.store.transaction() as tx:
        assert clients.revoke(tx, tenant="north", id="general", now=tx.now)
    refused = desk.post(TOKEN, data=form(ec()))
    assert_refused(refused)
    unknown = desk.post(TOKEN, data=form(ec(iss="nobody", sub="nobody")))
    assert refused.data == unknown.data
    assert {name for name, _ in refused.headers} == {name for name, _ in unknown.headers}


def test_a_client_that_calls_from_elsewhere_hears_the_same(app: Flask, bridge: Bridge) -> None:
    register(bridge, public(EC), networks="10.0.0.0/8")
    assert_refused(app.test_client().post(TOKEN, data=form(ec())))
    assert app.test_client().post(TOKEN, data=form(ec()), environ_base={"REMOTE_ADDR": "10.1.1.1"}).status_code == 200


def test_another_kind_of_assertion_is_an_unknown_client(desk: FlaskClient) -> None:
    assert_refused(desk.post(TOKEN, data=form(ec(), client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer")))
    assert_refused(desk.post(TOKEN, data=form(ec(), client_id="somebody")))
    assert_refused(desk.post(TOKEN, data={"grant_type": "client_credentials", "client_id": "general", "client_secret": "x", "scope": "a"}))


@pytest.mark.parametrize("grant", ["authorization_code", "password", "", "client_credentials "])
def test_another_grant_is_not_supported(desk: FlaskClient, grant: str) -> None:
    told = {"error": "unsupported_grant_type", "error_description": "Send grant_type=client_credentials."}
    assert_refused(desk.post(TOKEN, data=form(ec(), grant_type=grant)), told, 400)


@settings_of_hypothesis(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), to=st.sampled_from("AZaz09-_.=~ +"))
def test_no_letter_of_an_assertion_can_be_another(one_desk: FlaskClient, at: int, to: str) -> None:
    good = ec()
    at %= len(good)
    assume(good[at] != to)
    assert_refused(one_desk.post(TOKEN, data=form(good[:at] + to + good[at + 1 :])))


@settings_of_hypothesis(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200) | st.dictionaries(st.sampled_from(["grant_type", "client_assertion", "scope", "x"]), st.text()))
def test_any_body_at_the_token_endpoint_is_refused_in_its_words(one_desk: FlaskClient, body: Any) -> None:
    answer = one_desk.post(TOKEN, data=body, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, set(answer.json)) == (400, {"error", "error_description"})


def test_an_assertion_is_good_once(desk: FlaskClient) -> None:
    assertion = ec()
    assert desk.post(TOKEN, data=form(assertion)).status_code == 200
    assert_refused(desk.post(TOKEN, data=form(assertion)))
    again = json.loads(urlsafe_b64decode(assertion.split(".")[1] + "=="))["jti"]
    assert_refused(desk.post(TOKEN, data=form(ec(jti=again))))  # the number counts, not the bytes


def test_of_one_assertion_that_comes_eight_times_at_once_one_is_good(bridge: Bridge, database_url: str) -> None:
    here = replace(bridge, store=Store(database_url, allow_unsafe=True))
    register(here, REGISTERED)
    app = create_app(here, log=CapturingLogger())
    assertion, start = ec(), Barrier(8)

    def ask(_: int) -> int:
        start.wait()
        return int(app.test_client().post(TOKEN, data=form(assertion)).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [200, *[401] * 7]
    here.store.close()


ANOTHER_PROCESS = """
import json, sys
from fhir_bridge import bootstrap
from fhir_bridge import bootstrap
from fhir_bridge.settings import Secret, Settings, Site
from fhir_bridge.web import create_app
app = create_app(bootstrap.bridge(Settings.from_environ()))
answer = app.test_client().post("/oauth/token", data=json.load(sys.stdin))
print(json.dumps([answer.status_code, answer.json]))
"""


def test_an_assertion_used_here_is_used_in_another_process_too(desk: FlaskClient, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("[sites.north]\n")
    environment = {
        "PATH": os.environ["PATH"],
        "FHIR_BRIDGE_DATABASE_URL": settings.database_url.reveal(),
        "FHIR_BRIDGE_CONFIG": str(tmp_path / "bridge.toml"),
    }

    def there(assertion: str) -> Any:
        words = [sys.executable, "-c", ANOTHER_PROCESS]
        done = subprocess.run(words, input=json.dumps(form(assertion)), env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    first, second = ec(), ec()
    assert desk.post(TOKEN, data=form(first)).status_code == 200
    assert there(first) == [401, INVALID_CLIENT]
    assert there(second)[0] == 200
    assert_refused(desk.post(TOKEN, data=form(second)))


def test_the_log_says_why_in_words_of_ours_and_nothing_of_what_was_sent(desk: FlaskClient, log: CapturingLogger) -> None:
    sent = [WRONG[name]() for name in ("exp past", "signed by another key", "an unknown client", "a list as aud")]
    for assertion in sent:
        desk.post(TOKEN, data=form(assertion))
        desk.post("/fhir/ServiceRequest", headers={"Authorization": f"Bearer {assertion}"})
    lines = str(log.calls)
    for why in ("exp missing or past", "the signature does not hold", "no such client", "aud missing or no text"):
        assert why in lines
    assert not any(word in lines for assertion in sent for word in assertion.split("."))
