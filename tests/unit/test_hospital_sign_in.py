"""Signing in: what the assertion says, how long a token is used, and where it never goes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_bridge.errors import Refused
from fhir_bridge.hospital.backend_services import ASSERTION_TYPE, BackendServices
from fhir_bridge.hospital.client import Call, Client, NoReply, Reply
from fhir_bridge.hospital.sign_in import Anonymous, Basic, Bearer, SignInFailed

BASE = "https://hospital.example/fhir"
TOKENS = "https://login.hospital.example/token"
KEYS = {
    "RS384": RSAKey.generate_key(2048, {"kid": "r1"}, private=True),
    "ES384": ECKey.generate_key("P-384", {"kid": "e1"}, private=True),
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def sign_in(clock: Clock, algorithm: str = "ES384", **options: Any) -> BackendServices:
    key = KEYS[algorithm].as_dict(private=True)
    ids = iter(f"jti-{n}" for n in range(100))
    return BackendServices(BASE, client_id="bridge", key=key, scope="system/Observation.c", now=clock, new_id=lambda: next(ids), **options)


def answers(web: responses.RequestsMock, **more: Any) -> None:
    web.get(f"{BASE}/.well-known/smart-configuration", json={"token_endpoint": TOKENS})
    web.post(TOKENS, json={"access_token": "t-1", "token_type": "bearer", "expires_in": 300} | more)


@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_the_assertion_says_who_for_whom_and_for_how_long(algorithm: str) -> None:
    clock = Clock()
    with responses.RequestsMock() as web:
        answers(web)
        assert sign_in(clock, algorithm).headers() == {"Authorization": "Bearer t-1"}
        form = parse_qs(web.calls[1].request.body.decode())
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_assertion_type"] == [ASSERTION_TYPE]
    token = jwt.decode(form["client_assertion"][0], KEYS[algorithm], algorithms=[algorithm])
    assert token.header == {"alg": algorithm, "kid": KEYS[algorithm].kid, "typ": "JWT"}
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"], token.claims["jti"]) == ("bridge", "bridge", TOKENS, "jti-0")
    assert token.claims["exp"] - clock.now.timestamp() <= 300


def test_a_token_is_used_until_a_minute_before_its_end() -> None:
    clock = Clock()
    with responses.RequestsMock() as web:
        answers(web)
        signed = sign_in(clock)
        signed.headers()
        clock.now += timedelta(seconds=239)
        signed.headers()
        assert len(web.calls) == 2
        clock.now += timedelta(seconds=1)
        signed.headers()
        assert len(web.calls) == 4


def test_a_refused_token_is_renewed_once_and_only_the_hospital_sees_it() -> None:
    with responses.RequestsMock() as web:
        answers(web)
        web.get(f"{BASE}/Patient/1", status=401)
        client = Client(BASE, sign_in=sign_in(Clock()))
        reply = client.send(Call("GET", "Patient/1"))
        assert isinstance(reply, Reply)
        assert reply.status == 401
        seen = [(call.request.url, "Authorization" in call.request.headers) for call in web.calls]
    assert [url for url, signed in seen if signed] == [f"{BASE}/Patient/1"] * 2
    assert len([url for url, _ in seen if url == TOKENS]) == 2


def test_without_a_token_nothing_is_sent() -> None:
    with responses.RequestsMock() as web:
        web.get(f"{BASE}/.well-known/smart-configuration", json={"token_endpoint": TOKENS})
        web.post(TOKENS, status=400, json={"error": "invalid_client"})
        reply = Client(BASE, sign_in=sign_in(Clock())).send(Call("POST", "Patient", {"resourceType": "Patient"}))
    assert reply == NoReply(sent=False, cause="sign-in failed: the token endpoint answered 400 (invalid_client)")


@pytest.mark.parametrize("configuration", [{}, {"token_endpoint": "http://login.hospital.example/token"}, {"token_endpoint": 7}, []])
def test_a_discovery_without_a_safe_endpoint_fails(configuration: Any) -> None:
    with responses.RequestsMock() as web:
        web.get(f"{BASE}/.well-known/smart-configuration", json=configuration)
        with pytest.raises(SignInFailed):
            sign_in(Clock()).headers()
        assert len(web.calls) == 1


@pytest.mark.parametrize("more", [{"access_token": None}, {"access_token": "a\r\nX: y"}, {"token_type": "mac"}])
def test_an_unusable_token_is_a_failure(more: dict[str, Any]) -> None:
    with responses.RequestsMock() as web:
        answers(web, **more)
        with pytest.raises(SignInFailed):
            sign_in(Clock()).headers()


def test_a_fixed_token_address_needs_no_discovery_and_must_be_https() -> None:
    with responses.RequestsMock() as web:
        web.post(TOKENS, json={"access_token": "t", "token_type": "Bearer"})
        assert sign_in(Clock(), token_url=TOKENS).headers() == {"Authorization": "Bearer t"}
    with pytest.raises(Refused):
        sign_in(Clock(), token_url="http://login.hospital.example/token")


@pytest.mark.parametrize(
    "key",
    [
        ECKey.generate_key("P-256", {"kid": "x"}, private=True).as_dict(private=True),
        RSAKey.generate_key(2048, private=True).as_dict(private=True, kid=""),
        KEYS["RS384"].as_dict(private=False),
    ],
)
def test_another_key_is_refused(key: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        BackendServices(BASE, client_id="b", key=key, scope="s", now=Clock(), new_id=str)


def test_the_token_is_not_in_the_words_of_the_object() -> None:
    with responses.RequestsMock() as web:
        answers(web)
        signed = sign_in(Clock())
        signed.headers()
    assert "t-1" not in repr(signed) + repr(vars(signed))


def test_basic_bearer_and_anonymous() -> None:
    assert Basic("Aladdin", "open sesame").headers() == {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    assert Bearer("abc").headers() == {"Authorization": "Bearer abc"}
    assert Anonymous().headers() == {}
    assert not Bearer("abc").renew()
