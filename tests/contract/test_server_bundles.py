"""What the bridge relies on in references, transactions and batches."""

import base64
import re
import uuid

from fhir_api import SYSTEM, Api, by, condition, entry, observation, patient, refused, transaction

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
