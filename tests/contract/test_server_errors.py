"""What the bridge relies on when a server refuses."""

import json
from decimal import Decimal
from typing import Any

import pytest
from fhir_api import Api, entry, observation, patient, refused, transaction

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
