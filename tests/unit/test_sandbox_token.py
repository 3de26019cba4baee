"""The sandbox's sign-in desk takes a right assertion once, and refuses every wrong one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.server import create_app
from fhir_bridge.sandbox.token import ASSERTION_TYPE, Client, Desk, require_sign_in

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = ECKey.generate_key("P-384", {"kid": "e1"}, private=True)
OTHER = ECKey.generate_key("P-384", {"kid": "e1"}, private=True)
SMALL = ECKey.generate_key("P-256", {"kid": "p256"}, private=True)
RSA = RSAKey.generate_key(2048, {"kid": "r1"}, private=True)
ENDPOINT = "http://localhost/token"


class Front:
    """A sandbox with a desk, whose time is the test's."""

    def __init__(self) -> None:
        self.now = NOW
        jwks = {"keys": [key.as_dict(private=False) for key in (KEY, RSA, SMALL)]}
        self.desk = Desk(Client("bridge", lambda: jwks, frozenset({"system/Patient.rs"})), now=lambda: self.now)
        app = create_app(load("hapi"))
        require_sign_in(app, self.desk)
        self.http: FlaskClient = app.test_client()

    def ask(
        self, *, key: Any = KEY, algorithm: str = "ES384", header: dict[str, Any] | None = None, form: Any = None, **claims: Any
    ) -> Any:
        now = int(self.now.timestamp())
        said = {"iss": "bridge", "sub": "bridge", "aud": ENDPOINT, "exp": now + 240, "iat": now, "jti": "j1"} | claims
        said = {name: value for name, value in said.items() if value is not None}
        named = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
        signed = jwt.encode({k: v for k, v in named.items() if v}, said, key, algorithms=[algorithm])
        sent = {
            "grant_type": "client_credentials",
            "scope": "system/Patient.rs system/Other.rs",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        }
        return self.http.post("/token", data=sent | (form or {}))


@pytest.fixture
def front() -> Front:
    return Front()


def test_a_right_assertion_gives_a_token_that_opens_the_fhir_api_until_its_end(front: Front):
    given = front.ask()
    assert (given.status_code, given.json["token_type"], given.json["scope"]) == (200, "bearer", "system/Patient.rs")
    assert given.headers["Cache-Control"] == "no-store"
    opened = {"Authorization": f"Bearer {given.json['access_token']}"}
    assert front.http.get("/fhir/Patient", headers=opened).status_code == 200
    front.now += timedelta(seconds=given.json["expires_in"])
    assert front.http.get("/fhir/Patient", headers=opened).status_code == 401


def test_rs384_is_taken_too(front: Front):
    assert front.ask(key=RSA, algorithm="RS384").status_code == 200


def test_without_a_token_only_the_statement_and_the_way_in_are_shown(front: Front):
    refused = front.http.get("/fhir/Patient")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refused.json["resourceType"] == "OperationOutcome"
    assert front.http.post("/fhir", json={}).status_code == 401
    assert front.http.get("/fhir/metadata").status_code == 200
    shown = front.http.get("/fhir/.well-known/smart-configuration").json
    assert (shown["token_endpoint"], shown["token_endpoint_auth_methods_supported"]) == (ENDPOINT, ["private_key_jwt"])


SOON = int(NOW.timestamp())


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": OTHER},
        {"key": SMALL, "algorithm": "ES256"},
        {"key": RSA, "algorithm": "RS256"},
        {"header": {"kid": "unknown"}},
        {"header": {"typ": "at+jwt"}},
        {"iss": "another"},
        {"sub": "another"},
        {"aud": "http://localhost/fhir"},
        {"aud": ["http://elsewhere.example/token"]},
        {"aud": None},
        {"exp": SOON - 1},
        {"exp": SOON + 306},
        {"exp": "soon"},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"form": {"client_assertion": "not.a.jwt"}},
    ],
    ids=" ".join,
)
def test_an_assertion_is_refused_as_invalid_client_with(front: Front, wrong: dict[str, Any]):
    refused = front.ask(**wrong)
    assert (refused.status_code, refused.json["error"]) == (401, "invalid_client")
    assert not front.desk.given


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"client_assertion_type": "password"}, "invalid_request"),
        ({"scope": "system/Other.rs"}, "invalid_scope"),
    ],
)
def test_a_request_is_refused_in_oauths_words(front: Front, form: dict[str, str], error: str):
    refused = front.ask(form=form)
    assert (refused.status_code, refused.json["error"]) == (400, error)


def test_an_assertion_is_good_once(front: Front):
    assert [front.ask().status_code, front.ask().status_code, front.ask(jti="j2").status_code] == [200, 401, 200]
