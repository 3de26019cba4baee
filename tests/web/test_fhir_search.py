"""Searching at the hospital's door: a sender finds its own referrals, page by page, and what was not understood is told."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fhir_door import push, sent

from fhir_bridge.fhir import check
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals.query import PARAMETERS

SignIn = Callable[..., FlaskClient]
ORDERS = "urn:oid:2.999.1.7"
PATIENTS = "urn:oid:2.999.1.1"


@pytest.fixture
def hospital(clinic: SignIn) -> FlaskClient:
    """A hospital that sent three referrals of two patients: A and B of one, C of the other."""
    client = clinic(kind="hospital")
    for letter, patient, day in (("A", "1", "2026-04-01"), ("B", "1", "2026-04-02"), ("C", "2", "2026-05-03")):
        assert push(client, order(letter, patient, day)).status_code == 201
    return client


def order(letter: str, patient: str, day: str) -> dict[str, Any]:
    text = json.dumps(sent("service-request")).replace("ORD-SYN-90001", letter).replace("SYN-100724", f"SYN-{patient}")
    return {**json.loads(text), "authoredOn": f"{day}T16:20:00-04:00"}


def found(answer: Any) -> list[str]:
    """The letters of the orders in a searchset, in its order."""
    assert answer.status_code == 200, answer.data
    assert check.faults(answer.json) == []
    matches = [one["resource"] for one in answer.json.get("entry", []) if one["search"]["mode"] == "match"]
    return [each["value"] for one in matches for each in one["identifier"] if each.get("system") == ORDERS]


def search(client: FlaskClient, query: str, kind: str = "ServiceRequest", **headers: str) -> Any:
    return client.get(f"/fhir/{kind}?{query}", headers=headers)


def test_without_conditions_every_referral_of_the_sender_is_found_the_last_changed_first(hospital: FlaskClient):
    answer = search(hospital, "")
    assert found(answer) == ["C", "B", "A"]
    assert answer.json["total"] == 3
    assert found(search(hospital, "_sort=_lastUpdated")) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("query", "letters"),
    [
        (f"identifier={ORDERS}|A", ["A"]),
        (f"identifier={ORDERS}%7CA,{ORDERS}%7CC", ["C", "A"]),
        ("identifier=B", ["B"]),
        ("identifier=urn:oid:2.999.9|B", []),
        ("identifier=|B", []),
        (f"identifier={ORDERS}|A&identifier={ORDERS}|B", []),
        ("status=active", ["C", "B", "A"]),
        ("status=http://hl7.org/fhir/request-status|active", ["C", "B", "A"]),
        ("status=revoked,completed", []),
        ("status=nonsense", []),
        ("authored=2026-04-02", ["B"]),
        ("authored=ge2026-04-02", ["C", "B"]),
        ("authored=gt2026-04-02", ["C"]),
        ("authored=lt2026-04-02", ["A"]),
        ("authored=le2026-04", ["B", "A"]),
        ("authored=2026-04-02T20:20:00Z", ["B"]),
        ("authored=2026-04-02T22:20:00+02:00", ["B"]),
        ("authored=ne2026-04-02", ["C", "A"]),
        ("authored=ge2026-04-02&authored=lt2026-05-01", ["B"]),
        ("_lastUpdated=ge2020", ["C", "B", "A"]),
        ("_lastUpdated=lt2020", []),
        (f"patient.identifier={PATIENTS}|SYN-1", ["B", "A"]),
        ("patient=unknown", []),
        ("_id=unknown", []),
    ],
)
def test_each_parameter_finds_what_it_says(hospital: FlaskClient, query: str, letters: list[str]):
    assert found(search(hospital, query)) == letters


def test_a_patient_is_found_once_and_leads_to_the_referrals(hospital: FlaskClient):
    answer = search(hospital, f"identifier={PATIENTS}|SYN-1", "Patient")
    assert answer.json["total"] == 1
    [patient] = [one["resource"] for one in answer.json["entry"]]
    assert check.faults(patient) == []
    for said in (patient["id"], f"Patient/{patient['id']}", f"http://localhost/fhir/Patient/{patient['id']}"):
        assert found(search(hospital, f"patient={said}")) == ["B", "A"]
    assert found(search(hospital, f"subject=Group/{patient['id']}")) == []
    shown = hospital.get(f"/fhir/Patient/{patient['id']}")
    assert shown.json == patient
    assert hospital.get(f"/fhir/Patient/{patient['id']}", headers={"If-None-Match": shown.headers["ETag"]}).status_code == 304


def test_a_task_is_found_by_its_order_and_its_status(hospital: FlaskClient):
    [entry] = search(hospital, "identifier=A").json["entry"]
    [task] = search(hospital, f"focus=ServiceRequest/{entry['resource']['id']}", "Task").json["entry"]
    assert task["resource"]["focus"] == {"reference": f"ServiceRequest/{entry['resource']['id']}"}
    assert search(hospital, "status=received", "Task").json["total"] == 3
    assert search(hospital, "status=completed&authored-on=ge2020", "Task").json["total"] == 0


def test_pages_go_through_everything_once_whatever_arrives_meanwhile(hospital: FlaskClient):
    first = search(hospital, "_count=1&_sort=_lastUpdated")
    links = {one["relation"]: one["url"] for one in first.json["link"]}
    assert links["self"].endswith("/fhir/ServiceRequest?_count=1&_sort=_lastUpdated")
    assert "total" not in first.json
    push(hospital, order("D", "3", "2026-06-01"))
    letters, url = found(first), links.get("next")
    while url:
        page = hospital.get(f"{urlsplit(url).path}?{urlsplit(url).query}")
        letters += found(page)
        url = next((one["url"] for one in page.json["link"] if one["relation"] == "next"), None)
    assert letters == ["A", "B", "C", "D"]


def test_the_next_page_is_for_its_client_alone_and_says_nothing_of_whom_was_searched_for(hospital: FlaskClient, clinic: SignIn):
    page = search(hospital, f"patient.identifier={PATIENTS}|SYN-1&_count=1")
    url = page.json["link"][1]["url"]
    assert "SYN-1" not in url
    foreign = clinic("south", kind="hospital")
    assert foreign.get(urlsplit(url).path + "?" + urlsplit(url).query).status_code == 400
    assert search(hospital, "_cursor=e30.e30").status_code == 400
    assert found(hospital.get(urlsplit(url).path + "?" + urlsplit(url).query)) == ["A"]


def test_a_search_may_be_posted_so_that_nothing_stands_in_the_address(hospital: FlaskClient):
    answer = hospital.post("/fhir/ServiceRequest/_search", data={"patient.identifier": f"{PATIENTS}|SYN-2"})
    assert found(answer) == ["C"]
    assert hospital.post("/fhir/ServiceRequest/_search?_count=1", data={"status": "active", "_format": "json"}).json["entry"][1:] == []


def test_what_is_not_understood_is_told_or_refused_as_the_client_prefers(hospital: FlaskClient):
    lenient = search(hospital, "identifier=A&colour=blue")
    assert found(lenient) == ["A"]
    [told] = [one["resource"] for one in lenient.json["entry"] if one["search"]["mode"] == "outcome"]
    assert told["issue"][0]["severity"] == "warning"
    assert "colour" not in next(one["url"] for one in lenient.json["link"] if one["relation"] == "self")
    strict = search(hospital, "identifier=A&colour=blue", Prefer="handling=strict")
    assert (strict.status_code, strict.json["issue"][0]["expression"]) == (400, ["colour"])


@pytest.mark.parametrize(
    "query",
    ["identifier:exact=A", "status:not=active", "authored=yesterday", "authored=ge2026-02-30", "authored=ap2026", "_count=0", "_count=x",
     "_sort=status", "identifier=a|b|c", f"identifier={ORDERS}|", "_id=%00", "_id=" + ",".join(["a"] * 200), "_id=" + "a" * 5000],
)  # fmt: skip
def test_a_search_that_cannot_be_answered_is_refused_by_its_parameter(hospital: FlaskClient, query: str):
    refused = search(hospital, query)
    assert (refused.status_code, refused.json["resourceType"], refused.json["issue"][0]["code"]) == (400, "OperationOutcome", "invalid")


def test_another_sender_finds_nothing_of_it(hospital: FlaskClient, clinic: SignIn):
    [entry] = search(hospital, "identifier=A").json["entry"]
    for other in (clinic("south", kind="hospital"),):
        assert found(search(other, "")) == []
        assert search(other, "", "Patient").json["total"] == 0
        assert other.get(f"/fhir/ServiceRequest/{entry['resource']['id']}/_history").status_code == 404


def test_every_version_can_be_read(hospital: FlaskClient):
    created = push(hospital, order("A", "1", "2026-04-01") | {"priority": "stat"})
    place = f"/fhir/ServiceRequest/{created.json['id']}"
    assert (created.status_code, created.headers["ETag"]) == (200, 'W/"2"')
    assert created.headers["Last-Modified"]
    assert [hospital.get(f"{place}/_history/{version}").json["priority"] for version in (1, 2)] == ["urgent", "stat"]
    history = hospital.get(f"{place}/_history")
    assert check.faults(history.json) == []
    assert [one["resource"]["meta"]["versionId"] for one in history.json["entry"]] == ["2", "1"]
    for nothing in ("_history/3", "_history/0", "_history/99999999999999999999", "_history/x"):
        assert hospital.get(f"{place}/{nothing}").status_code == 404


def test_a_search_follows_every_change_of_the_clinic(hospital: FlaskClient, clinic: SignIn):
    north = clinic()
    [first] = north.get("/api/v1/referrals?limit=1").json["referrals"]
    assert north.post(f"/api/v1/referrals/{first['id']}/decline", json={"reason": "no chair"}).status_code == 202
    assert search(hospital, "status=rejected", "Task").json["total"] == 1
    assert search(hospital, "status=received", "Task").json["total"] == 2


def test_the_statement_names_each_parameter_and_strict_handling_refuses_every_other(hospital: FlaskClient):
    [rest] = hospital.get("/fhir/metadata").json["rest"]
    for resource in (one for one in rest["resource"] if "searchParam" in one):
        kind, named = resource["type"], {one["name"]: one["type"] for one in resource["searchParam"]}
        assert named == {one.name: one.kind for one in PARAMETERS if kind in one.types and "." not in one.name}
        for name, type_ in named.items():
            value = "2026" if type_ == "date" else "x"
            assert search(hospital, f"{name}={value}", kind, Prefer="handling=strict").status_code == 200, (kind, name)
        for name in {one.name for one in PARAMETERS} - {one.name for one in PARAMETERS if kind in one.types} | {"colour"}:
            assert search(hospital, f"{name}=2026", kind, Prefer="handling=strict").status_code == 400, (kind, name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([one.name for one in PARAMETERS] + ["_count", "_sort", "_cursor", "_format", "x:y"]),
    value=st.text(st.characters(codec="utf-8"), max_size=30) | st.from_regex(r"[a-z]{0,2}[0-9T:Z+.-]{0,25}", fullmatch=True),
)
def test_whatever_is_searched_for_is_answered_in_fhir(bridge: Bridge, hospital: FlaskClient, name: str, value: str):
    answer = search(hospital, f"{quote(name)}={quote(value)}")
    assert answer.status_code in (200, 400, 406), (name, value)
    assert check.faults(answer.json) == []
