"""What the bridge relies on in a FHIR server, said once and asked of the sandbox and of a real HAPI 8.8.0 alike.

Nothing here assumes an empty server: each test writes under identifiers and ids of its own. What HAPI does only in a race
(409, doubled conditional updates) is not here, since no test could ask for it twice and get the same.
"""

import base64
import json
import re
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import requests

FHIR_JSON = "application/fhir+json"
SYSTEM = "https://clinic.example/contract"
TAG_SYSTEM = "https://clinic.example/test-run"


class Api:
    """The server under test, one method a verb; a path starts below the base address."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Cache-Control": "no-cache", "Content-Type": FHIR_JSON} | {k.replace("_", "-"): v for k, v in headers.items()}
        address = path if path.startswith("http") else f"{self.base_url}/{path}".rstrip("/")
        return self.session.request(verb, address, data=data, headers=sent, timeout=60)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> requests.Response:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str, **headers: str) -> requests.Response:
        return self.send("DELETE", path, **headers)

    def search(self, path: str) -> list[dict[str, Any]]:
        """The resources of one page of a search, which must succeed."""
        reply = self.get(path)
        assert reply.status_code == 200, reply.text
        return [entry["resource"] for entry in reply.json().get("entry", [])]

    def walk(self, path: str) -> Iterator[dict[str, Any]]:
        """The entries of all pages."""
        address: str | None = path
        while address:
            bundle = self.get(address).json()
            yield from bundle.get("entry", [])
            address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)


@pytest.fixture
def api(server: Any) -> Api:
    return Api(server.base_url)


@pytest.fixture
def key() -> str:
    """A business key nobody used before; also a good client id."""
    return f"ia-{uuid.uuid4()}"


def patient(key: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": key}], "name": [{"family": "Invented"}]} | more


def observation(key: str, **more: Any) -> dict[str, Any]:
    found = {
        "resourceType": "Observation",
        "identifier": [{"system": SYSTEM, "value": key}],
        "status": "final",
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "effectiveDateTime": "2026-03-02T09:00:00-05:00",
    }
    return found | more


def by(key: str, kind: str = "Patient") -> str:
    return f"{kind}?identifier={SYSTEM}%7C{key}"


def condition(key: str) -> str:
    return f"identifier={SYSTEM}%7C{key}"


def transaction(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: dict[str, Any] | None = None, *, full_url: str = "", **request: str) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url} | request}
    if full_url:
        found["fullUrl"] = full_url
    return found | ({"resource": resource} if resource else {})


def refused(reply: requests.Response, status: int, *texts: str) -> None:
    """The reply is this status and an OperationOutcome that says these things."""
    assert reply.status_code == status, reply.text
    outcome = reply.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["severity"] == "error"
    for text in texts:
        assert text in outcome["issue"][0]["diagnostics"]


def milliseconds(text: str) -> str:
    """An instant as a search value: with milliseconds and Z."""
    return datetime.fromisoformat(text).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# What it says of itself


def test_the_statement_is_of_r4_and_offers_what_the_bridge_plans_with(api: Api):
    statement = api.get("metadata").json()
    rest = statement["rest"][0]
    [found] = [resource for resource in rest["resource"] if resource["type"] == "Observation"]
    assert statement["fhirVersion"] == "4.0.1"
    assert "transaction" in {interaction["code"] for interaction in rest["interaction"]}
    assert {"create", "read", "vread", "update", "delete", "search-type", "history-type"} <= {i["code"] for i in found["interaction"]}
    assert found["conditionalCreate"] is True
    assert found["conditionalUpdate"] is True
    assert {"_id", "_lastUpdated", "identifier", "patient", "date", "code", "category", "status", "encounter"} <= {
        parameter["name"] for parameter in found["searchParam"]
    }


# Create and read


def test_a_created_resource_is_told_by_location_version_and_time(api: Api, key: str):
    reply = api.post("Patient", patient(key))
    created = reply.json()
    assert reply.status_code == 201
    assert reply.headers["ETag"] == 'W/"1"'
    assert reply.headers["Location"] == f"{api.base_url}/Patient/{created['id']}/_history/1"
    assert created["meta"]["versionId"] == "1"
    assert abs(datetime.fromisoformat(created["meta"]["lastUpdated"]).timestamp() - time.time()) < 60
    assert reply.headers["Content-Type"].lower().replace(" ", "") == "application/fhir+json;charset=utf-8"


def test_what_was_created_is_read_back(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    reply = api.get(f"Patient/{created['id']}")
    assert reply.status_code == 200
    assert reply.headers["ETag"] == 'W/"1"'
    assert reply.json() == created


def test_an_id_in_a_created_body_is_ignored(api: Api, key: str):
    assert api.post("Patient", patient(key, id=key)).json()["id"] != key


def test_numbers_keep_their_digits(api: Api, key: str):
    body = json.dumps(observation(key, valueQuantity={"value": 0})).replace('{"value": 0}', '{"value": %s}')
    for digits in ("36.80", "120.0", "0.00000001", "1234567890.123456789"):
        created = api.post("Observation", (body % digits).encode())
        assert created.status_code == 201, created.text
        read = api.get(f"Observation/{created.json()['id']}").text
        assert json.loads(read, parse_float=str, parse_int=str)["valueQuantity"]["value"] == digits


def test_times_keep_their_offset_or_their_lack_of_one(api: Api, key: str):
    for text in ("2026-03-02T09:00:00+02:00", "2026-03-02T09:00:00.123Z", "2026-03-02", "2026-03-02T09:00:00"):
        created = api.post("Observation", observation(key, effectiveDateTime=text)).json()
        assert created["effectiveDateTime"] == text


def test_an_absent_value_with_a_reason_is_kept(api: Api, key: str):
    reason = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "asked-declined"}]}
    created = api.post("Observation", observation(key, dataAbsentReason=reason)).json()
    assert created["dataAbsentReason"] == reason


def test_an_unchanged_resource_need_not_be_sent_again(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    assert api.get(f"Patient/{created['id']}", If_None_Match='W/"1"').status_code == 304


def test_the_answer_to_a_write_is_what_was_preferred(api: Api, key: str):
    assert api.post("Patient", patient(key), Prefer="return=minimal").content == b""
    assert api.post("Patient", patient(key), Prefer="return=representation").json()["resourceType"] == "Patient"
    assert api.post("Patient", patient(key), Prefer="return=OperationOutcome").json()["resourceType"] == "OperationOutcome"
    assert api.post("Patient", patient(key)).json()["resourceType"] == "Patient"


def test_the_request_id_is_echoed_and_becomes_the_source(api: Api, key: str):
    reply = api.post("Patient", patient(key, meta={"source": "https://clinic.example/bridge"}), X_Request_ID="contract-1")
    assert reply.headers["X-Request-ID"] == "contract-1"
    assert reply.json()["meta"]["source"] == "https://clinic.example/bridge#contract-1"
    assert api.post("Patient", patient(key), X_Request_ID="contract-2").json()["meta"]["source"] == "#contract-2"


def test_a_request_id_of_odd_characters_is_replaced(api: Api):
    reply = api.get("metadata", X_Request_ID="one two/three?")
    assert re.fullmatch(r"[\w-]{16}", reply.headers["X-Request-ID"])


# Update


def test_a_put_under_our_own_id_creates_and_then_updates(api: Api, key: str):
    first = api.put(f"Patient/{key}", patient(key, id=key))
    second = api.put(f"Patient/{key}", patient(key, id=key, gender="female"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["ETag"] == 'W/"2"'
    assert "Location" not in second.headers
    assert second.headers["Content-Location"].endswith(f"/Patient/{key}/_history/2")


def test_the_same_id_may_be_used_for_two_types(api: Api, key: str):
    assert api.put(f"Patient/{key}", patient(key, id=key)).status_code == 201
    assert api.put(f"Observation/{key}", observation(key, id=key)).status_code == 201


def test_a_put_that_changes_nothing_makes_no_version(api: Api, key: str):
    created = api.put(f"Patient/{key}", patient(key, id=key)).json()
    for body in (patient(key, id=key), created, patient(key, id=key, meta={"source": "https://clinic.example/other"})):
        reply = api.put(f"Patient/{key}", body)
        assert reply.status_code == 200
        assert reply.json()["meta"]["versionId"] == "1"


def test_an_update_on_the_current_version_is_taken_and_on_a_stale_one_is_a_conflict(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    assert api.put(f"Patient/{key}", patient(key, id=key, gender="female"), If_Match='W/"1"').status_code == 200
    refused(api.put(f"Patient/{key}", patient(key, id=key, gender="male"), If_Match='W/"1"'), 409, "HAPI-0989")
    refused(api.put(f"Patient/{key}", patient(key, id=key, gender="male"), If_Match='"7"'), 409, "HAPI-0989")
    assert api.get(f"Patient/{key}").json()["gender"] == "female"


def test_if_match_on_what_is_not_there_creates_it(api: Api, key: str):
    assert api.put(f"Patient/{key}", patient(key, id=key), If_Match='W/"3"').status_code == 201


def test_a_number_is_refused_as_a_client_id(api: Api, key: str):
    number = str(uuid.uuid4().int)[:18]
    refused(api.put(f"Patient/{number}", patient(key, id=number)), 400, "HAPI-0960")


def test_an_id_fhir_does_not_allow_is_refused(api: Api, key: str):
    refused(api.put(f"Patient/a_{key}", patient(key, id=f"a_{key}")), 400, "HAPI-0521")


def test_the_id_of_a_put_must_be_in_its_body(api: Api, key: str):
    refused(api.put(f"Patient/{key}", patient(key)), 400, "HAPI-0419")
    refused(api.put(f"Patient/{key}", patient(key, id="another")), 400, "HAPI-0420")


def test_tags_only_grow_by_put_while_profiles_are_replaced(api: Api, key: str):
    one, two = ({"system": TAG_SYSTEM, "code": code} for code in ("one", "two"))
    api.put(f"Patient/{key}", patient(key, id=key, meta={"tag": [one], "profile": ["https://clinic.example/profile"]}))
    reply = api.put(f"Patient/{key}", patient(key, id=key, gender="female", meta={"tag": [two]})).json()
    assert {tag["code"] for tag in reply["meta"]["tag"]} >= {"one", "two"}
    assert "profile" not in reply["meta"]


def test_a_new_tag_alone_makes_a_version(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    reply = api.put(f"Patient/{key}", patient(key, id=key, meta={"tag": [{"system": TAG_SYSTEM, "code": "late"}]}))
    assert reply.json()["meta"]["versionId"] == "2"


def test_a_json_patch_changes_one_element_of_the_version_it_names(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key, gender="female"))
    replace = [{"op": "replace", "path": "/gender", "value": "other"}]
    headers = {"Content_Type": "application/json-patch+json"}
    done = api.send("PATCH", f"Patient/{key}", replace, If_Match='W/"1"', **headers)
    assert (done.status_code, done.json()["gender"]) == (200, "other")
    assert api.send("PATCH", f"Patient/{key}", replace, If_Match='W/"1"', **headers).status_code == 409
    missing = [{"op": "test", "path": "/gender", "value": "male"}]
    assert api.send("PATCH", f"Patient/{key}", missing, **headers).status_code == 400


# Conditional writes


def test_a_conditional_create_happens_once(api: Api, key: str):
    first = api.post("Patient", patient(key), If_None_Exist=condition(key))
    again = api.post("Patient", patient(key, gender="female"), If_None_Exist=by(key))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert "gender" not in again.json()
    assert again.headers["ETag"] == 'W/"1"'
    assert again.headers["Location"].endswith(f"Patient/{first.json()['id']}/_history/1")


def test_a_conditional_write_that_matches_two_is_refused(api: Api, key: str):
    for _ in range(2):
        api.post("Patient", patient(key))
    refused(api.post("Patient", patient(key), If_None_Exist=condition(key)), 412, "HAPI-0958")
    refused(api.put(by(key), patient(key)), 412)
    refused(api.delete(by(key)), 412, "HAPI-0962")
    assert len(api.search(by(key))) == 2


def test_a_conditional_create_must_match_its_own_body(api: Api, key: str):
    refused(api.post("Patient", patient(f"{key}-other"), If_None_Exist=condition(key)), 400, "HAPI-0929")
    assert api.search(by(f"{key}-other")) == []


def test_a_conditional_update_creates_and_then_updates(api: Api, key: str):
    first = api.put(by(key), patient(key))
    second = api.put(by(key), patient(key, gender="female"))
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["meta"]["versionId"] == "2"
    assert api.put(by(key), patient(key, gender="male"), If_Match='W/"1"').status_code == 200


# Delete


def test_a_deleted_resource_is_gone_and_can_be_brought_back(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    assert api.delete(f"Patient/{key}").status_code == 200
    gone = api.get(f"Patient/{key}")
    refused(gone, 410, "deleted at")
    assert gone.headers["Location"].endswith(f"Patient/{key}/_history/2")
    assert api.search(by(key)) == []
    back = api.put(f"Patient/{key}", patient(key, id=key))
    assert (back.status_code, back.json()["meta"]["versionId"]) == (201, "3")


def test_deleting_twice_or_what_never_was_is_a_success(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    replies = [api.delete(f"Patient/{key}"), api.delete(f"Patient/{key}"), api.delete(f"Patient/no-{key}")]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    codes = [reply.json()["issue"][0]["details"]["coding"][0]["code"] for reply in replies]
    assert codes == ["SUCCESSFUL_DELETE", "SUCCESSFUL_DELETE_ALREADY_DELETED", "SUCCESSFUL_DELETE_NOT_FOUND"]


def test_if_match_does_not_hold_back_a_delete(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    assert api.delete(f"Patient/{key}", If_Match='W/"9"').status_code == 200
    assert api.get(f"Patient/{key}").status_code == 410


def test_what_is_referred_to_cannot_be_deleted(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    api.post("Observation", observation(key, subject={"reference": f"Patient/{key}"}))
    refused(api.delete(f"Patient/{key}"), 409)


# References


def test_a_reference_to_what_is_not_there_is_refused(api: Api, key: str):
    refused(api.post("Observation", observation(key, subject={"reference": f"Patient/{key}"})), 400, "HAPI-1094")


def test_a_reference_to_what_was_deleted_is_refused(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    api.delete(f"Patient/{key}")
    refused(api.post("Observation", observation(key, subject={"reference": f"Patient/{key}"})), 400, "HAPI-1096")


def test_a_reference_to_a_wrong_type_is_refused(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    reply = api.post("Observation", observation(key, encounter={"reference": f"Patient/{key}"}))
    assert reply.status_code == 422, reply.text


def test_an_absolute_reference_is_refused_even_to_this_server(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    refused(api.post("Observation", observation(key, subject={"reference": f"{api.base_url}/Patient/{key}"})), 400, "HAPI-0507")


def test_a_placeholder_outside_a_transaction_is_refused(api: Api, key: str):
    refused(api.post("Observation", observation(key, subject={"reference": f"urn:uuid:{uuid.uuid4()}"})), 400, "HAPI-0505")


def test_an_identifier_alone_is_a_reference_too(api: Api, key: str):
    logical = {"identifier": {"system": SYSTEM, "value": key}}
    assert api.post("Observation", observation(key, subject=logical)).json()["subject"] == logical


def test_the_version_of_a_reference_is_not_kept(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    created = api.post("Observation", observation(key, subject={"reference": f"Patient/{key}/_history/1"}))
    assert created.json()["subject"]["reference"] == f"Patient/{key}"


def test_a_reference_may_be_a_search(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    created = api.post("Observation", observation(key, subject={"reference": by(key)}))
    assert created.json()["subject"]["reference"] == f"Patient/{key}"
    refused(api.post("Observation", observation(key, subject={"reference": by(f"no-{key}")})), 404, "HAPI-1091")


# Transactions and batches


def test_a_transaction_answers_each_entry_in_order_with_a_relative_location(api: Api, key: str):
    reply = api.post(
        "",
        transaction(
            entry("PUT", f"Patient/{key}", patient(key, id=key)),
            entry("POST", "Observation", observation(key, subject={"reference": f"Patient/{key}"})),
        ),
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["type"] == "transaction-response"
    first, second = (item["response"] for item in reply.json()["entry"])
    assert first["status"] == "201 Created"
    assert first["location"] == f"Patient/{key}/_history/1"
    assert first["etag"] == "1"
    assert first["lastModified"]
    assert first["outcome"]["resourceType"] == "OperationOutcome"
    assert re.fullmatch(r"Observation/\d+/_history/1", second["location"])


def test_a_transaction_shows_what_it_stored_only_when_asked(api: Api, key: str):
    bundle = transaction(entry("PUT", f"Patient/{key}", patient(key, id=key)))
    assert "resource" not in api.post("", bundle, Prefer="return=minimal").json()["entry"][0]
    shown = api.post("", bundle, Prefer="return=representation").json()["entry"][0]
    assert shown["resource"]["id"] == key
    assert shown["response"]["status"] == "200 OK"


def test_placeholders_become_ids_in_either_direction(api: Api, key: str):
    person, visit = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": person}}
    reply = api.post(
        "",
        transaction(
            entry("POST", "Observation", observation(key, subject={"reference": person}, encounter={"reference": visit})),
            entry("POST", "Encounter", encounter, full_url=visit),
            entry("POST", "Patient", patient(key), full_url=person, ifNoneExist=condition(key)),
        ),
    )
    assert reply.status_code == 200, reply.text
    made, stay, who = (item["response"]["location"].partition("/_history")[0] for item in reply.json()["entry"])
    assert api.get(made).json()["subject"]["reference"] == who
    assert api.get(made).json()["encounter"]["reference"] == stay
    assert api.get(stay).json()["subject"]["reference"] == who


def test_a_placeholder_of_a_conditional_create_becomes_what_was_there(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    person = f"urn:uuid:{uuid.uuid4()}"
    reply = api.post(
        "",
        transaction(
            entry("POST", "Patient", patient(key), full_url=person, ifNoneExist=condition(key)),
            entry("POST", "Observation", observation(key, subject={"reference": person})),
        ),
    )
    first, second = (item["response"] for item in reply.json()["entry"])
    assert first["status"] == "200 OK"
    assert api.get(second["location"]).json()["subject"]["reference"] == f"Patient/{key}"


def test_a_transaction_is_all_or_nothing(api: Api, key: str):
    refused(
        api.post(
            "",
            transaction(
                entry("PUT", f"Patient/{key}", patient(key, id=key)),
                entry("POST", "Observation", observation(key, subject={"reference": f"Patient/no-{key}"})),
            ),
        ),
        400,
        "HAPI-1094",
    )
    assert api.get(f"Patient/{key}").status_code == 404


def test_a_placeholder_that_stands_for_nothing_refuses_the_transaction(api: Api, key: str):
    lost = observation(key, subject={"reference": f"urn:uuid:{uuid.uuid4()}"})
    refused(api.post("", transaction(entry("POST", "Observation", lost))), 400, "HAPI-0541")


def test_a_stale_version_refuses_the_whole_transaction(api: Api, key: str):
    for gender in ("female", "male"):
        api.put(f"Patient/{key}", patient(key, id=key, gender=gender))
    stale = entry("PUT", f"Patient/{key}", patient(key, id=key, gender="other"), ifMatch='W/"1"')
    other = entry("PUT", f"Observation/{key}", observation(key, id=key))
    refused(api.post("", transaction(other, stale)), 409)
    assert api.get(f"Observation/{key}").status_code == 404


def test_sending_the_same_transaction_again_changes_nothing(api: Api, key: str):
    bundle = transaction(
        entry("PUT", f"Patient/{key}", patient(key, id=key)),
        entry("PUT", f"Observation/{key}", observation(key, id=key, subject={"reference": f"Patient/{key}"})),
    )
    first, again = (api.post("", bundle).json()["entry"] for _ in range(2))
    assert [item["response"]["status"] for item in again] == ["200 OK", "200 OK"]
    assert [item["response"]["location"] for item in again] == [item["response"]["location"] for item in first]


def test_of_two_entries_with_one_condition_the_later_is_lost_without_a_word(api: Api, key: str):
    person, double = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    reply = api.post(
        "",
        transaction(
            entry("POST", "Patient", patient(key), full_url=person, ifNoneExist=condition(key)),
            entry("POST", "Patient", patient(key, gender="female"), full_url=double, ifNoneExist=condition(key)),
            entry("POST", "Observation", observation(key, subject={"reference": double})),
        ),
    )
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["entry"]) == 2
    [kept] = api.search(by(key))
    assert "gender" not in kept
    [made] = api.search(by(key, "Observation"))
    assert made["subject"]["reference"] == f"Patient/{kept['id']}"


def test_one_identity_twice_in_a_transaction_is_refused(api: Api, key: str):
    person = f"urn:uuid:{uuid.uuid4()}"
    twice = entry("POST", "Patient", patient(key), full_url=person)
    refused(api.post("", transaction(twice, twice)), 400, "HAPI-0534")
    put = entry("PUT", f"Patient/{key}", patient(key, id=key))
    refused(api.post("", transaction(put, put)), 400, "HAPI-0535")
    bare = entry("POST", "Patient", patient(key), ifNoneExist=condition(key))
    refused(api.post("", transaction(bare, bare)), 400, "HAPI-2008")


def test_a_condition_that_matches_two_refuses_the_transaction(api: Api, key: str):
    for _ in range(2):
        api.post("Patient", patient(key))
    refused(api.post("", transaction(entry("POST", "Patient", patient(key), ifNoneExist=condition(key)))), 412, "HAPI-0958")


def test_a_read_that_fails_in_a_transaction_fails_alone(api: Api, key: str):
    reply = api.post("", transaction(entry("GET", f"Patient/no-{key}"), entry("PUT", f"Patient/{key}", patient(key, id=key))))
    assert reply.status_code == 200, reply.text
    assert [item["response"]["status"][:3] for item in reply.json()["entry"]] == ["404", "201"]


def test_a_patient_leaves_together_with_what_refers_to_it(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    api.put(f"Observation/{key}", observation(key, id=key, subject={"reference": f"Patient/{key}"}))
    reply = api.post("", transaction(entry("DELETE", f"Patient/{key}"), entry("DELETE", f"Observation/{key}")))
    assert [item["response"]["status"][:3] for item in reply.json()["entry"]] == ["204", "204"]


def test_a_json_patch_travels_in_a_transaction_as_a_binary(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key, gender="female"))
    operations = base64.b64encode(b'[{"op": "replace", "path": "/gender", "value": "other"}]').decode()
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": operations}
    reply = api.post("", transaction(entry("PATCH", f"Patient/{key}", binary)))
    assert reply.status_code == 200, reply.text
    assert api.get(f"Patient/{key}").json()["gender"] == "other"


def test_a_batch_answers_each_entry_for_itself(api: Api, key: str):
    reply = api.post(
        "",
        transaction(
            entry("PUT", f"Patient/{key}", patient(key, id=key)),
            entry("POST", "Observation", observation(key, subject={"reference": f"Patient/no-{key}"})),
            entry("GET", f"Patient/no-{key}"),
            entry("PUT", f"Patient/{key}", patient(key, id=key, gender="female"), ifMatch='W/"8"'),
            kind="batch",
        ),
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["type"] == "batch-response"
    answers = [item["response"] for item in reply.json()["entry"]]
    assert [answer["status"][:3] for answer in answers] == ["201", "400", "404", "409"]
    assert answers[1]["outcome"]["issue"][0]["diagnostics"].startswith("HAPI-1094")


def test_an_empty_transaction_is_answered_without_entries(api: Api):
    reply = api.post("", {"resourceType": "Bundle", "type": "transaction"})
    assert reply.status_code == 200
    assert "entry" not in reply.json()


def test_a_bundle_of_another_kind_is_refused(api: Api):
    refused(api.post("", {"resourceType": "Bundle", "type": "collection", "entry": []}), 400, "HAPI-0527")


# Search


def test_an_identifier_is_found_by_system_and_value(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    assert [found["id"] for found in api.search(by(key))] == [created["id"]]
    assert [found["id"] for found in api.search(f"Patient?identifier={key}")] == [created["id"]]
    assert api.search(f"Patient?identifier=https://other.example%7C{key}") == []


def test_a_search_says_what_it_is(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    bundle = api.get(by(key)).json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert bundle["link"][0]["relation"] == "self"
    [found] = bundle["entry"]
    assert found["fullUrl"] == f"{api.base_url}/Patient/{created['id']}"
    assert found["search"] == {"mode": "match"}
    assert "entry" not in api.get(by(f"no-{key}")).json()


@pytest.fixture
def visit(api: Api, key: str) -> str:
    """Two observations, an hour apart, of a patient with this id in an encounter with this id."""
    encounter = {"resourceType": "Encounter", "id": key, "status": "finished", "class": {"code": "AMB"}}
    of = {"subject": {"reference": f"Patient/{key}"}, "encounter": {"reference": f"Encounter/{key}"}}
    weight = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    later = observation(f"{key}-2", status="amended", code=weight, effectiveDateTime="2026-03-02T15:00:00Z", **of)
    period = {"start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T11:00:00-05:00"}
    reply = api.post(
        "",
        transaction(
            entry("PUT", f"Patient/{key}", patient(key, id=key)),
            entry("PUT", f"Encounter/{key}", encounter | {"subject": of["subject"], "period": period}),
            entry("POST", "Observation", observation(f"{key}-1", **of)),
            entry("POST", "Observation", later),
        ),
    )
    assert reply.status_code == 200, reply.text
    return key


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("code=http://loinc.org%7C8867-4", 1),
        ("code=29463-7", 1),
        ("code=8867-4,29463-7", 2),
        ("category=vital-signs", 2),
        ("category=laboratory", 0),
        ("status=final", 1),
        ("status:not=final", 1),
        ("date=2026-03-02", 2),
        ("date=2026-03-02T14:00:00Z", 1),
        ("date=gt2026-03-02T14:00:00Z", 1),
        ("date=ge2026-03-02T14:00:00Z", 2),
        ("date=lt2026-03-02T14:00:00Z", 0),
        ("date=le2026-03-02T14:00:00Z", 1),
        ("date=ge2026-03-02T14:30:00Z&date=lt2026-03-02T15:30:00Z", 1),
        ("date=ge2026-03-03", 0),
        ("_id=none", 0),
    ],
)
def test_observations_are_found_by(api: Api, visit: str, query: str, found: int):
    assert len(api.search(f"Observation?patient={visit}&{query}".rstrip("&"))) == found


def test_what_belongs_to_a_patient_or_encounter_is_found_by_it(api: Api, visit: str):
    for query in (f"patient=Patient/{visit}", f"subject=Patient/{visit}", f"encounter=Encounter/{visit}", f"encounter={visit}"):
        assert len(api.search(f"Observation?{query}")) == 2, query
    assert len(api.search(f"Encounter?patient={visit}&date=2026-03-02&status=finished")) == 1
    assert len(api.search(f"Observation?patient.identifier={SYSTEM}%7C{visit}")) == 2


def test_a_search_may_be_posted(api: Api, visit: str):
    form = f"patient={visit}&code=8867-4".encode()
    reply = api.post("Observation/_search", form, Content_Type="application/x-www-form-urlencoded")
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["entry"]) == 1


def test_last_updated_finds_to_the_millisecond(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    at = milliseconds(created["meta"]["lastUpdated"])
    hits = {prefix: len(api.search(f"{by(key)}&_lastUpdated={prefix}{at}")) for prefix in ("ge", "gt", "le", "lt", "eq")}
    assert hits == {"ge": 1, "gt": 0, "le": 1, "lt": 0, "eq": 1}


def test_last_updated_in_whole_seconds_skips_or_takes_the_second(api: Api, key: str):
    created = api.post("Patient", patient(key)).json()
    second = milliseconds(created["meta"]["lastUpdated"])[:19] + "Z"
    hits = {prefix: len(api.search(f"{by(key)}&_lastUpdated={prefix}{second}")) for prefix in ("ge", "gt", "le", "lt", "eq")}
    assert hits == {"ge": 1, "gt": 0, "le": 1, "lt": 0, "eq": 1}


def test_resources_are_found_by_tag_and_source(api: Api, key: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}], "source": f"https://clinic.example/{key}"}
    api.post("Patient", patient(key, meta=meta))
    assert len(api.search(f"Patient?_tag={TAG_SYSTEM}%7C{key}")) == 1
    assert len(api.search(f"Patient?_source=https://clinic.example/{key}")) == 1


def test_what_a_search_does_not_know_is_refused(api: Api, key: str):
    for handling in ("strict", "lenient"):
        refused(api.get("Patient?unheard=of", Prefer=f"handling={handling}"), 400, "HAPI-0524", "unheard")
    refused(api.get("Observation?date=yesterday"), 400)
    refused(api.get("Patient?_sort=unheard"), 400, "HAPI-1194")
    refused(api.get("Unheard?_id=1"), 404, "HAPI-0302")


def test_an_unknown_modifier_is_ignored(api: Api, key: str):
    api.post("Observation", observation(key))
    assert len(api.search(f"{by(key, 'Observation')}&code:foo=8867-4")) == 1


# Pages


@pytest.fixture
def seven(api: Api, key: str) -> str:
    """Seven observations tagged with this key."""
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}]}
    entries = [entry("POST", "Observation", observation(f"{key}-{number}", meta=meta)) for number in range(7)]
    assert api.post("", transaction(*entries)).status_code == 200
    return key


def test_next_links_lead_through_all_of_a_search_once(api: Api, seven: str):
    path = f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3&_sort=_lastUpdated"
    first = api.get(path).json()
    assert len(first["entry"]) == 3
    assert re.search(r"\?_getpages=[\w-]+&", next(link["url"] for link in first["link"] if link["relation"] == "next"))
    assert len({found["resource"]["id"] for found in api.walk(path)}) == 7
    assert len(list(api.walk(path))) == 7


def test_what_arrives_while_paging_moves_nothing(api: Api, seven: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": seven}]}
    pages = api.walk(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3")
    first = next(pages)
    api.post("Observation", observation(f"{seven}-late", meta=meta))
    assert len({found["resource"]["id"] for found in [first, *pages]}) == 7


def test_a_page_that_expired_is_gone(api: Api):
    refused(api.get(f"?_getpages={uuid.uuid4()}&_getpagesoffset=3&_count=3&_bundletype=searchset"), 410, "HAPI-0417")


def test_a_count_of_zero_only_counts(api: Api, seven: str):
    bundle = api.get(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=0").json()
    assert bundle["total"] == 7
    assert "entry" not in bundle


def test_a_total_is_given_when_asked_for(api: Api, seven: str):
    assert api.get(f"Observation?_tag={TAG_SYSTEM}%7C{seven}&_count=3&_total=accurate").json()["total"] == 7


def test_a_search_sorted_by_time_of_change_is_oldest_first(api: Api, key: str):
    meta = {"tag": [{"system": TAG_SYSTEM, "code": key}]}
    for number in range(3):
        api.put(f"Patient/{key}-{number}", patient(key, id=f"{key}-{number}", meta=meta))
        time.sleep(0.005)
    api.put(f"Patient/{key}-0", patient(key, id=f"{key}-0", gender="other", meta=meta))
    path = f"Patient?_tag={TAG_SYSTEM}%7C{key}&_sort="
    assert [found["id"][-1] for found in api.search(f"{path}_lastUpdated")] == ["1", "2", "0"]
    assert [found["id"][-1] for found in api.search(f"{path}-_lastUpdated")] == ["0", "2", "1"]


# Versions and history


def test_every_version_can_be_read(api: Api, key: str):
    for gender in ("female", "male"):
        api.put(f"Patient/{key}", patient(key, id=key, gender=gender))
    assert api.get(f"Patient/{key}/_history/1").json()["gender"] == "female"
    refused(api.get(f"Patient/{key}/_history/9"), 404, "HAPI-0979")
    api.delete(f"Patient/{key}")
    assert api.get(f"Patient/{key}/_history/3").status_code == 410


def test_the_history_of_a_resource_is_newest_first_and_names_each_request(api: Api, key: str):
    for gender in ("female", "male"):
        api.put(f"Patient/{key}", patient(key, id=key, gender=gender))
    bundle = api.get(f"Patient/{key}/_history").json()
    assert (bundle["type"], bundle["total"]) == ("history", 2)
    newest, oldest = bundle["entry"]
    assert newest["resource"]["meta"]["versionId"] == "2"
    assert newest["fullUrl"] == f"{api.base_url}/Patient/{key}"
    assert newest["request"] == {"method": "PUT", "url": f"Patient/{key}/_history/2"}
    assert newest["response"]["status"].startswith("200")
    assert oldest["response"]["etag"] == 'W/"1"'
    assert oldest["response"]["status"].startswith("201")


def test_a_deletion_in_a_history_has_neither_resource_nor_time(api: Api, key: str):
    api.put(f"Patient/{key}", patient(key, id=key))
    api.delete(f"Patient/{key}")
    deletion = api.get(f"Patient/{key}/_history").json()["entry"][0]
    assert deletion == {
        "fullUrl": f"{api.base_url}/Patient/{key}",
        "request": {"method": "DELETE", "url": f"Patient/{key}/_history/2"},
        "response": {"status": "200 OK", "etag": 'W/"2"'},
    }


def test_the_history_of_a_type_since_an_instant_includes_it(api: Api, key: str):
    first = api.put(f"Device/{key}", {"resourceType": "Device", "id": key}).json()
    since = milliseconds(first["meta"]["lastUpdated"])
    time.sleep(0.005)
    second = api.put(f"Device/{key}", {"resourceType": "Device", "id": key, "lotNumber": "L-1"}).json()
    found = [e["response"]["etag"] for e in api.walk(f"Device/_history?_since={since}") if e["fullUrl"].endswith(key)]
    assert found == ['W/"2"', 'W/"1"']
    later = milliseconds(second["meta"]["lastUpdated"])
    found = [e["response"]["etag"] for e in api.walk(f"Device/_history?_since={later}") if e["fullUrl"].endswith(key)]
    assert found == ['W/"2"']
    assert "total" not in api.get(f"Device/_history?_since={since}").json()


def test_a_history_is_paged_by_offset(api: Api, key: str):
    for number in range(5):
        api.put(f"Device/{key}", {"resourceType": "Device", "id": key, "lotNumber": f"L-{number}"})
    path = f"Device/{key}/_history?_count=2"
    first = api.get(path).json()
    assert "_offset=2" in next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert [found["response"]["etag"] for found in api.walk(path)] == [f'W/"{number}"' for number in (5, 4, 3, 2, 1)]


# Errors


def test_what_is_not_there_is_a_404_with_an_outcome(api: Api, key: str):
    refused(api.get(f"Patient/{key}"), 404, "HAPI-2001")
    refused(api.get(f"Unheard/{key}"), 404, "HAPI-0302")


def test_a_body_that_is_not_json_is_refused(api: Api):
    for body in (b"", b"{", b"[1]"):
        refused(api.post("Patient", body), 400)


def test_a_body_of_another_type_is_refused(api: Api, key: str):
    refused(api.post("Patient", observation(key)), 400, "HAPI-1814")
    refused(api.post("Patient", {"id": key}), 400, "HAPI-1838")


def test_a_body_sent_as_text_is_refused_and_as_json_taken(api: Api, key: str):
    refused(api.post("Patient", patient(key), Content_Type="text/plain"), 400, "HAPI-0449")
    assert api.post("Patient", patient(key), Content_Type="application/json").status_code == 201


def test_what_r4_does_not_know_is_dropped_without_a_word(api: Api, key: str):
    created = api.post("Patient", patient(key, foo="bar"))
    assert created.status_code == 201
    assert "foo" not in created.json()


@pytest.mark.parametrize("defect", [{"status": "done"}, {"effectiveDateTime": "2026-13-40"}])
def test_a_wrong_code_or_date_is_refused_even_in_a_batch_as_a_whole(api: Api, key: str, defect: dict[str, Any]):
    refused(api.post("Observation", observation(key, **defect)), 400, "HAPI-1821")
    good = entry("PUT", f"Patient/{key}", patient(key, id=key))
    refused(api.post("", transaction(good, entry("POST", "Observation", observation(key, **defect)), kind="batch")), 400, "HAPI-1821")
    assert api.get(f"Patient/{key}").status_code == 404


def test_a_message_is_not_taken(api: Api):
    bundle = {"resourceType": "Bundle", "type": "message", "entry": []}
    refused(api.post("$process-message", bundle), 400)


def test_validation_answers_200_and_tells_the_errors_in_the_body(api: Api, key: str):
    bad = {"resourceType": "Observation", "code": {"text": "invented"}}
    for resource, errors in ((observation(key, valueQuantity={"value": 7}), False), (bad, True)):
        reply = api.post("Observation/$validate", resource)
        assert reply.status_code == 200, reply.text
        assert any(issue["severity"] in ("error", "fatal") for issue in reply.json()["issue"]) is errors


def test_two_decimals_of_one_value_are_two_versions(api: Api, key: str):
    body = json.dumps(observation(key, id=key, valueQuantity={"value": 0})).replace('{"value": 0}', '{"value": %s}')
    versions = [api.put(f"Observation/{key}", (body % digits).encode()).json()["meta"]["versionId"] for digits in ("36.8", "36.80")]
    read = json.loads(api.get(f"Observation/{key}").text, parse_float=Decimal)
    assert (versions, str(read["valueQuantity"]["value"])) == (["1", "2"], "36.80")
