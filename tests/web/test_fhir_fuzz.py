"""Damaged referrals at the hospital's door: whatever is sent, nothing fails, and every answer is FHIR.

A corpus of what breaks parsers and databases, and generated damage: a part of a good message replaced, doubled, dropped or bent.
"""

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fhir_door import ADDRESS, sent

from fhir_bridge.fhir import check

SignIn = Callable[..., FlaskClient]
ADDRESSES = {**ADDRESS, "batch": "/fhir"}
SHAPES = {shape: sent(shape) for shape in ADDRESS}
JSON = "application/fhir+json"
REFUSED = (400, 406, 409, 412, 413, 415, 422)


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    return clinic(kind="hospital")


def assert_told(answer: Any, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.data[:500])
    assert answer.mimetype == JSON
    assert check.faults(answer.json) == []


def order(**changed: Any) -> bytes:
    return json.dumps(SHAPES["service-request"] | changed).encode()


def bundle(entries: list[Any], kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def cyclic() -> bytes:
    """Two orders that are each based on the other, in a Bundle that contains itself by reference."""
    document = copy.deepcopy(SHAPES["transaction"])
    for entry in document["entry"]:
        if entry["resource"]["resourceType"] == "Organization":
            entry["resource"]["partOf"] = {"reference": entry["fullUrl"]}
        if entry["resource"]["resourceType"] == "ServiceRequest":
            entry["resource"]["basedOn"] = entry["resource"]["replaces"] = [{"reference": entry["fullUrl"]}]
    return json.dumps(document).encode()


def entry(method: str, url: str, resource: Any = None, **more: Any) -> dict[str, Any]:
    return {"request": {"method": method, "url": url, **more}} | ({} if resource is None else {"resource": resource})


def conditional(said: str) -> bytes:
    return bundle([entry("PUT", "Task/1", TASK, ifMatch=said), entry("GET", "Task", None, ifNoneMatch=said, ifNoneExist=said)], "batch")


ORDER, TASK = SHAPES["service-request"], {"resourceType": "Task", "id": "1", "status": "cancelled", "intent": "order"}
SHAPES["batch"] = json.loads(
    bundle(
        [
            entry("POST", "ServiceRequest", ORDER, ifNoneExist="identifier=urn:oid:2.999.1.7|1"),
            entry("PUT", "ServiceRequest/1", ORDER | {"id": "1"}, ifMatch='W/"1"'),
            entry("PUT", "Task/1", TASK),
            entry("GET", "ServiceRequest?status=active&_count=2", ifNoneMatch='W/"1"'),
            entry("GET", "Task/1/_history/1"),
        ],
        "batch",
    )
)
TEXT = json.dumps(SHAPES["service-request"])
ENTRY = SHAPES["transaction"]["entry"][0]
ODD_ADDRESSES = (
    "/",
    "//",
    "?",
    "#",
    "%",
    "%00",
    "%ff",
    "\u00e9\U0001f9e0",
    "a" * 9000,
    "../metadata",
    "Task?\u00e9=%ff",
    "Task?" + "a&" * 999,
)
ODD_CONDITIONS = ("\u00e9", "a\r\nX: y", '"' * 999, "\U0001f9e0", "W/")
CORPUS: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"<ServiceRequest/>",
    "a number": b"1",
    "a list": b"[]",
    "null": b"null",
    "depth 1500 of lists": b'{"resourceType":"ServiceRequest","extension":' + b"[" * 1500 + b"]" * 1500 + b"}",
    "depth 1500 of objects": b'{"resourceType":"ServiceRequest","a":' + b'{"a":' * 1500 + b"1" + b"}" * 1501,
    "depth that never closes": b"[{" * 5000,
    "depth 31 of contained": json.dumps(
        {"resourceType": "ServiceRequest", "contained": [{"resourceType": "Patient", "contained": [[[[[[{}]]]]]]}]}
    ).encode(),
    "NaN": TEXT.replace('"urgent"', "NaN").encode(),
    "Infinity": TEXT.replace('"urgent"', "-Infinity").encode(),
    "NUL": TEXT.replace("ORD-SYN-90001", "\\u0000").encode(),
    "a NUL as it is": TEXT.replace("ORD-SYN-90001", "\0").encode(),
    "half a surrogate": TEXT.replace("ORD-SYN-90001", "\\ud83d").encode(),
    "the other half": TEXT.replace("ORD-SYN-90001", "\\udc00\\ud83d").encode(),
    "a key twice": TEXT.replace("{", '{"resourceType": "ServiceRequest", ', 1).encode(),
    "not UTF-8": TEXT.encode().replace(b"ORD", b"\xff\xfe"),
    "UTF-16": TEXT.encode("utf-16"),
    "an integer of 5000 digits": TEXT.replace('"urgent"', "9" * 5000).encode(),
    "an exponent of 400 digits": TEXT.replace('"urgent"', "1e" + "9" * 400).encode(),
    "a quantity of 1e999999": order(quantityQuantity={"value": 1}).replace(b'"value": 1}', b'"value": 1e999999}'),
    "a ratio of tiny parts": order(quantityRatio={"numerator": {"value": 1}}).replace(b'"value": 1}', b'"value": -0.0e-999999999}'),
    "a text of a million letters": order(patientInstruction="x" * 1_000_000),
    "no type": b"{}",
    "a type that is no text": b'{"resourceType": {"a": 1}}',
    "a type of R5": order(resourceType="ActorDefinition"),
    "a type with a slash": order(resourceType="../../etc/passwd"),
    "600 entries": bundle([ENTRY] * 600),
    "no entries": bundle([]),
    "entries that are none": bundle([None, 1, "a", [], {}, {"resource": None}, {"resource": []}, {"request": "x", "resource": {}}]),
    "a Bundle in a Bundle": bundle([{"resource": SHAPES["transaction"], "request": {"method": "POST", "url": "Bundle"}}] * 3),
    "the same fullUrl twice": bundle([ENTRY, ENTRY]),
    "cyclic references": cyclic(),
    "a subject that is itself": order(subject={"reference": "#"}, contained=[]),
    "contained in a ring": order(
        contained=[
            {"resourceType": "Patient", "id": "patient", "managingOrganization": {"reference": "#org"}},
            {"resourceType": "Organization", "id": "org", "partOf": {"reference": "#org"}},
        ]
    ),
    "an attachment that is no base64": json.dumps(SHAPES["transaction"]).replace("SW52ZW50ZWQgbGV0dGVyLg==", "%%%").encode(),
    "an attachment of half a byte": json.dumps(SHAPES["transaction"]).replace("SW52ZW50ZWQgbGV0dGVyLg==", "S").encode(),
    "a date in the year 0000": order(authoredOn="0000-01-01"),
    "a date in the year 9999": order(authoredOn="9999-12-31T23:59:60.999999999+14:00"),
    "a day that does not exist": order(authoredOn="2026-02-30"),
    "right to left and combining": order(note=[{"text": "\u202e\u0301\u200f\ufeff\U0001f9e0" * 50}]),
    "an identifier of 100000 letters": order(identifier=[{"system": "urn:x", "value": "v" * 100_000}]),
    "10000 identifiers": order(identifier=[{"system": "urn:x", "value": str(n)} for n in range(10_000)]),
    "an id that is a path": order(id="../../1"),
    "a batch of what is none": bundle([entry("POST", "Task", "x"), entry("GET", "Task", []), {"request": {}}, None], "batch"),
    "a batch in a batch": bundle([entry("POST", "/", SHAPES["batch"]), entry("POST", "?a", SHAPES["batch"])], "batch"),
    "a batch of a method that is none": bundle([entry("TRACE", "Task/1")], "batch"),
    "a batch of half a surrogate": bundle([entry("GET", "Task/\udc00")], "batch"),
    **{f"a batch to {url[:20]!r}": bundle([entry("GET", url)], "batch") for url in ODD_ADDRESSES},
    **{f"a batch if {said[:20]!r}": conditional(said) for said in ODD_CONDITIONS},
    "a batch of other methods": bundle([entry(method, "Task/1", TASK) for method in ("HEAD", "DELETE", "PATCH")], "batch"),
}


@pytest.mark.parametrize("address", [*ADDRESS.values(), "/fhir/Bundle/$validate"])
def test_the_corpus_of_damage_is_answered_in_fhir(hospital: FlaskClient, address: str):
    for name, body in CORPUS.items():
        answer = hospital.post(address, data=body, content_type=JSON)
        assert answer.status_code < 500, (name, answer.data[:300])
        assert_told(answer, 200, 201, *REFUSED)
        assert not [one for one in answer.json.get("entry", []) if one.get("response", {}).get("status", "").startswith("5")], name
        assert answer.status_code == 200 or address != "/fhir" or not name.startswith(("a batch if", "a batch of other")), name


@pytest.mark.parametrize("kind", ["ServiceRequest", "Task"])
def test_the_corpus_of_damage_put_over_what_is_there_is_answered_in_fhir(hospital: FlaskClient, kind: str):
    id = hospital.post("/fhir/Task", data=json.dumps(SHAPES["task"]), content_type=JSON).json["id"]
    id = hospital.get(f"/fhir/{kind}").json["entry"][0]["resource"]["id"] if kind != "Task" else id
    for name, body in CORPUS.items():
        for condition in ({}, {"If-Match": 'W/"1"'}):
            mended = body.replace(b'"resourceType": "ServiceRequest"', f'"resourceType": "{kind}", "id": "{id}"'.encode(), 1)
            answer = hospital.put(f"/fhir/{kind}/{id}", data=mended, content_type=JSON, headers=condition)
            assert answer.status_code < 500, (name, answer.data[:300])
            assert_told(answer, 200, *REFUSED)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "br, gzip"}, 415),
        ({"Content-Type": "application/fhir+json; charset=utf-16"}, 415),
        ({"Content-Type": "multipart/form-data"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "\xff;q=\xff"}, 406),
        ({"Prefer": "return=" + "x" * 4000}, 201),
        ({"X-Request-ID": "\xff\xfe" * 200}, 201),
        ({"If-None-Exist": "identifier=" + "%00" * 3}, 400),
        ({"If-None-Exist": "&&&===|||"}, 400),
        ({"If-None-Exist": "identifier=" + "a," * 5000}, 400),
        ({"If-Match": 'W/"9"'}, 201),  # an update's condition, which says nothing of a create
    ],
    ids=str,
)
def test_headers_that_make_no_sense_are_answered_in_fhir(hospital: FlaskClient, headers: dict[str, str], status: int):
    body = gzip.compress(order()) if "Content-Encoding" in headers else order()
    answer = hospital.post("/fhir/ServiceRequest", data=body, headers={"Content-Type": JSON} | headers)
    assert_told(answer, status)


PARTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "#", "Patient/1", "urn:uuid:x", "ServiceRequest", "2026", "http://", "\U0001f9e0", "a|b", "-0"])
    | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reference", "resourceType", "id", "value", "system", "coding", "code", "url", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(value, (*at, key))


PLACES = {shape: [place for place in places(document) if place] for shape, document in SHAPES.items()}


def bent(shape: str, data: st.DataObject) -> Any:
    """A good message with one to four of its parts replaced, doubled or dropped."""
    document = copy.deepcopy(SHAPES[shape])
    for place in data.draw(st.lists(st.sampled_from(PLACES[shape]), min_size=1, max_size=4)):
        *before, last = place
        node = document
        try:
            for key in before:
                node = node[key]
            match data.draw(st.sampled_from(("replace", "double", "drop", "listed"))):
                case "replace":
                    node[last] = data.draw(PARTS)
                case "double":
                    node[last] = [node[last], node[last]]
                case "listed":
                    node[last] = {"0": node[last]}
                case _:
                    del node[last]
        except (KeyError, IndexError, TypeError):  # its place is gone: an earlier damage took it
            continue
    return document


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(shape=st.sampled_from(sorted(ADDRESSES)), data=st.data())
def test_a_message_damaged_anywhere_is_taken_or_refused_in_fhir(hospital: FlaskClient, shape: str, data: st.DataObject):
    body = json.dumps(bent(shape, data)).encode()
    answer = hospital.post(ADDRESSES[shape], data=body, content_type=JSON)
    assert_told(answer, 200, 201, *REFUSED)
    if shape == "batch" and answer.status_code == 200:
        assert not [one for one in answer.json["entry"] if one["response"]["status"].startswith("5")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.sampled_from(sorted(ADDRESSES)), at=st.integers(0, 5000), noise=st.binary(max_size=6), cut=st.integers(0, 3))
def test_a_message_with_broken_bytes_is_taken_or_refused_in_fhir(hospital: FlaskClient, shape: str, at: int, noise: bytes, cut: int):
    whole = json.dumps(SHAPES[shape]).encode()
    body = whole[: at % len(whole)] + noise + whole[at % len(whole) + cut :]
    assert_told(hospital.post(ADDRESSES[shape], data=body, content_type=JSON), 200, 201, *REFUSED)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LOCK"]),
    path=st.lists(
        st.sampled_from(
            ["", "ServiceRequest", "Task", "Patient", "_search", "_history", "metadata", "$process-message", "1", "..", "%00", "a" * 300]
        )
        | st.text(st.characters(codec="utf-8", exclude_characters="/?#"), max_size=8),
        max_size=5,
    ),
)
def test_every_address_below_the_door_answers_in_fhir(hospital: FlaskClient, method: str, path: list[str]):
    answer = hospital.open("/fhir/" + "/".join(path), method=method, content_type=JSON, data=b"{}" if method in ("POST", "PUT") else None)
    assert answer.status_code < 500
    assert answer.status_code not in (301, 302, 307, 308)
    if answer.data:
        assert answer.mimetype == JSON, (method, path)
        assert check.faults(answer.json) == []
