"""What may not come in is told so, at the right price: never a 500, nothing parsed that is too large or too deep."""

import gzip
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_bridge import documents

JSON = {"Content-Type": "application/json"}


def post(client: FlaskClient, body: bytes, **headers: str) -> Any:
    return client.post("/api/v1/sessions", data=body, headers=JSON | {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "is not JSON"),
        (b'{"id": ', "is not JSON"),
        (b"[" * 2000, "nested deeper"),
        (b'{"a":' * 1500 + b"1" + b"}" * 1500, "nested deeper"),
        (b'{"heart_rate": NaN}', "NaN"),
        (b'{"heart_rate": Infinity}', "Infinity"),
        (b'{"id": "a", "id": "b"}', "twice"),
        (b'{"id": "\\u0000"}', "NUL"),
        (b'{"id": "\\ud800"}', "surrogate"),
        (b'{"id": "\xff"}', "not UTF-8"),
        (b"1" * 5000, "too long"),
        (b"[]", "one JSON object"),
        (b"null", "one JSON object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_a_json_object_is_a_400_that_says_why(north: FlaskClient, body: bytes, told: str):
    refused = post(north, body)
    assert refused.status_code == 400
    assert told in refused.json["faults"][0]["message"]


def test_a_body_not_labelled_json_is_a_415(north: FlaskClient):
    refused = post(north, b"{}", Content_Type="text/plain")
    assert refused.status_code == 415
    assert refused.headers["Accept"] == "application/json"


def test_an_encoded_body_is_a_415(north: FlaskClient):
    refused = post(north, gzip.compress(b"{}"), Content_Encoding="gzip")
    assert refused.status_code == 415
    assert refused.headers["Accept-Encoding"] == "identity"


def test_json_in_another_character_set_is_a_415(north: FlaskClient):
    assert post(north, b"{}", Content_Type="application/json; charset=latin-1").status_code == 415


@pytest.mark.parametrize("media_type", ["application/json; charset=UTF-8", "application/clinic+json"])
def test_other_labels_of_json_are_taken(north: FlaskClient, media_type: str):
    assert post(north, b"{}", Content_Type=media_type).status_code == 422


def test_a_body_said_to_be_too_long_is_a_413_before_it_is_read(north: FlaskClient):
    class Unreadable(io.BytesIO):
        def readinto(self, *_: Any) -> int:
            raise AssertionError("a body said to be too long was read")

        read = readinto

    refused = north.post(
        "/api/v1/sessions", input_stream=Unreadable(), headers=JSON, environ_overrides={"CONTENT_LENGTH": str(documents.MAX_BYTES + 1)}
    )
    assert refused.status_code == 413
    assert refused.content_type == "application/problem+json"


def test_a_body_that_turns_out_too_long_is_a_413(north: FlaskClient):
    endless = io.BytesIO(b'{"id": "' + b"x" * documents.MAX_BYTES + b'"}')
    refused = north.post("/api/v1/sessions", input_stream=endless, headers=JSON, environ_overrides={"wsgi.input_terminated": True})
    assert refused.status_code == 413
    assert refused.content_type == "application/problem+json"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_whatever_is_sent_is_answered_with_a_problem(north: FlaskClient, body: bytes):
    refused = post(north, body)
    assert 400 <= refused.status_code < 500
    assert refused.content_type == "application/problem+json"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_session_with_one_field_replaced_by_anything_is_taken_or_refused(
    north: FlaskClient, session: dict[str, Any], data: st.DataObject
):
    anything = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
        max_leaves=8,
    )
    field = data.draw(st.sampled_from([*session, "drugs", "reactions", "series", "follow_up"]))
    answer = post(north, json.dumps(session | {field: data.draw(anything)}).encode())
    assert answer.status_code in (202, 400, 409, 422)
