"""A server that is not ours is left as it was found."""

import pytest
import requests
from remote import TAG_SYSTEM, borrowed

from fhir_bridge.sandbox import profile
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app

PATIENT = {"resourceType": "Patient", "id": "invented-1", "name": [{"family": "Invented"}]}
PULSE = {
    "resourceType": "Observation",
    "id": "invented-2",
    "status": "final",
    "code": {"text": "pulse"},
    "subject": {"reference": "Patient/invented-1"},
}


def put(resource: dict[str, object]) -> dict[str, object]:
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}


@pytest.fixture
def theirs():
    with running(create_app(profile.load("hapi"))) as found:
        yield found.base_url


def test_what_is_written_carries_a_tag_and_is_gone_afterwards(theirs: str):
    with borrowed(theirs, run="run-1") as here:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [put(PATIENT), put(PULSE)]}
        requests.post(here, json=bundle, headers={"Content-Type": "application/fhir+json"}, timeout=10).raise_for_status()
        created = requests.post(f"{here}/Patient", json=PATIENT, headers={"Content-Type": "application/fhir+json"}, timeout=10)
        assert created.headers["Location"].startswith(f"{here}/Patient/")
        stored = requests.get(f"{theirs}/Patient?_tag={TAG_SYSTEM}|run-1", timeout=10).json()
        assert stored["total"] == 2
    assert requests.get(f"{theirs}/Patient?_tag={TAG_SYSTEM}|run-1", timeout=10).json()["total"] == 0
    assert requests.get(f"{theirs}/Observation/invented-2", timeout=10).status_code == 410


def test_what_cannot_be_deleted_is_told(theirs: str):
    with pytest.raises(RuntimeError, match="Patient/invented-1"), borrowed(theirs, run="run-2") as here:
        requests.put(f"{here}/Patient/invented-1", json=PATIENT, headers={"Content-Type": "application/fhir+json"}, timeout=10)
        requests.put(f"{theirs}/Observation/invented-2", json=PULSE, headers={"Content-Type": "application/fhir+json"}, timeout=10)
