"""What the bridge relies on when one resource is created, read, updated or deleted."""

import json
import re
import time
import uuid
from datetime import datetime

from fhir_api import TAG_SYSTEM, Api, by, condition, observation, patient, refused

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
