"""Whatever is sent to sign in with, or published as keys, is taken or refused in words; nothing fails."""

from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from fhir_bridge import documents
from fhir_bridge.errors import Refused
from fhir_bridge.sync.clients import assertion as sign_in_assertion
from fhir_bridge.sync.clients import jwks
from fhir_bridge.sync.clients.assertion import Denied

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PUBLIC = dict(ECKey.generate_key("P-384", {"kid": "k1"}, private=False).as_dict(private=False))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "x5c", "x5u", "x5t", "oth"])
VALUES = JSON | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-384", "P-256", "sig", "enc", "RS384", "ES384", "AQAB", "A" * 342, "A" * 64])
KEYS = st.dictionaries(NAMES, VALUES, max_size=8) | st.builds(lambda change: PUBLIC | change, st.dictionaries(NAMES, VALUES, max_size=2))
HEADERS = st.builds(lambda change: {"alg": "ES384", "kid": "k1", "typ": "JWT"} | change, st.dictionaries(NAMES, VALUES, max_size=2))
CLAIM = st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti"])
CLAIMS = st.builds(
    lambda change: {"iss": "a", "sub": "a", "aud": "b", "jti": "c", "exp": 1772452900} | change, st.dictionaries(CLAIM, VALUES, max_size=2)
)


def part(told: Any) -> str:
    return urlsafe_b64encode(documents.dumps(told)).rstrip(b"=").decode()


@given(document=JSON | st.builds(lambda keys: {"keys": keys}, st.lists(KEYS, max_size=3)))
@settings(max_examples=400, deadline=None)
def test_any_document_is_public_keys_or_refused(document: Any) -> None:
    with suppress(Refused):
        assert jwks.read(document)


@given(header=HEADERS | JSON, claims=CLAIMS | JSON, keys=st.lists(KEYS, max_size=2), signature=st.text("AZaz09-_", max_size=130))
@settings(max_examples=600, deadline=None)
def test_any_assertion_without_our_signature_is_denied(header: Any, claims: Any, keys: list[Any], signature: str) -> None:
    try:
        assertion = sign_in_assertion.read(f"{part(header)}.{part(claims)}.{signature}")
        sign_in_assertion.check(assertion, [PUBLIC, *keys], jwks_url=None, audience="b", now=NOW)
    except Denied as denied:
        assert denied.error == "invalid_client"
    else:
        raise AssertionError("it was believed")


@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda found: found.decode("latin-1")))
@settings(max_examples=300, deadline=None)
def test_any_text_is_denied(text: str) -> None:
    try:
        sign_in_assertion.read(text)
    except Denied:
        return
    raise AssertionError("it was read")
