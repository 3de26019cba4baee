"""The loop at a real HAPI server: a Task that names its order there, fetched, decided, treated, and closed at the hospital's own Task."""

import json
import re
import subprocess
import sys
import time
import uuid
from typing import Any

import requests
from outside import CASES, Clinic
from servers import validate

from fhir_bridge.hospital.client import Call, Client, Reply

WAIT_SECONDS = 60


def test_the_hospitals_own_task_follows_the_clinic_to_the_end(clinic: Clinic, hapi: str, hospital: Client, session: dict[str, Any]) -> None:
    token = uuid.uuid4().hex[:8]
    own, door = _held_there(hospital, token), _door(clinic, token)
    created = door.post(f"{clinic.api}/fhir/Task", data=json.dumps(_task(hapi, token)))
    assert created.status_code == 201, created.text
    with clinic.worker():
        [referral] = _until(lambda: _inbox(clinic, token))
        number = referral["id"]
        _decide(clinic, number, "accept")
        _until(lambda: _task_there(hospital, own)["status"] == "accepted")
        patient = referral["record"]["patient"]
        clinic.post(session | {"patient": patient, "referral": {"id": number}})
        _until(lambda: _business(_task_there(hospital, own)) == "5.1.4")
        _decide(clinic, number, "complete")
        _until(lambda: _task_there(hospital, own)["status"] == "completed")
    done = _task_there(hospital, own)
    assert done["note"] == [{"text": "Call the ward first."}]
    assert {one["valueReference"]["type"] for one in done["output"]} == {"Encounter", "DocumentReference"}
    assert validate(hapi, done) == []
    assert door.get(created.headers["Location"].partition("/_history")[0]).json()["status"] == "completed"
    about = _ask(hospital, f"Task?focus=ServiceRequest/order-{token}&_summary=count")
    people = _ask(hospital, f"Patient?identifier=urn:oid:2.999.1.1|SYN-{token}&_summary=count")
    assert (about["total"], people["total"]) == (1, 1)


def _parts(token: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The fixture's Task alone, and what it contained, under ids of this test."""
    text = (CASES / "referred-biologic" / "inbound" / "task.json").read_text().replace("SYN-100724", f"SYN-{token}")
    text = text.replace("ORD-SYN-90001", f"ORD-{token}")
    kinds = {one["id"]: one["resourceType"] for one in json.loads(text)["contained"]}
    text = re.sub(r'"#([a-z]+)"', lambda found: f'"{kinds[found[1]]}/{found[1]}-{token}"', text)
    task = json.loads(text)
    inside = [one | {"id": f"{one['id']}-{token}"} for one in task.pop("contained")]
    return task | {"id": f"task-{token}", "note": [{"text": "Call the ward first."}]}, inside


def _held_there(hospital: Client, token: str) -> str:
    task, inside = _parts(token)
    first = ("Patient", "Organization", "Practitioner")
    for one in sorted(inside, key=lambda one: (one["resourceType"] not in first, one["resourceType"] == "ServiceRequest")):
        _put(hospital, one)
    _put(hospital, task)
    return str(task["id"])


def _task(hapi: str, token: str) -> dict[str, Any]:
    task = _parts(token)[0]
    return task | {"focus": {"reference": f"{hapi}/{task['focus']['reference']}"}}


def _door(clinic: Clinic, token: str) -> requests.Session:
    """The hospital's key, shown with every request."""
    words = ["clients", "add", f"general-{token}", "--kind", "hospital", "--hospital", "hospital", "--json"]
    told = subprocess.run([sys.executable, "-m", "fhir_bridge", *words], env=clinic.environment, check=True, capture_output=True).stdout
    door = requests.Session()
    door.headers.update({"Authorization": f"Bearer {json.loads(told)['key']}", "Content-Type": "application/fhir+json"})
    return door


def _inbox(clinic: Clinic, token: str) -> list[Any]:
    shown = requests.get(f"{clinic.api}/api/v1/referrals", headers={"Authorization": f"Bearer {clinic.key}"}, timeout=30).json()
    found = shown["referrals"]
    return [one for one in found if one["record"]["referral"]["placer"]["value"] == f"ORD-{token}"]


def _decide(clinic: Clinic, number: str, verb: str) -> None:
    reply = requests.post(f"{clinic.api}/api/v1/referrals/{number}/{verb}", headers={"Authorization": f"Bearer {clinic.key}"}, timeout=30)
    assert reply.status_code == 202, reply.text


def _task_there(hospital: Client, id: str) -> dict[str, Any]:
    return _ask(hospital, f"Task/{id}")


def _business(task: dict[str, Any]) -> str:
    return str(task.get("businessStatus", {}).get("coding", [{}])[0].get("code", ""))


def _put(hospital: Client, resource: dict[str, Any]) -> None:
    reply = hospital.send(Call("PUT", f"{resource['resourceType']}/{resource['id']}", resource))
    assert isinstance(reply, Reply), reply
    assert reply.status in (200, 201), reply.body


def _ask(hospital: Client, path: str) -> dict[str, Any]:
    reply = hospital.send(Call("GET", path, headers={"Cache-Control": "no-cache"}))
    assert isinstance(reply, Reply), reply
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.body
    return found


def _until(come: Any) -> Any:
    """What `come` gives as soon as it gives something."""
    end = time.monotonic() + WAIT_SECONDS
    while not (found := come()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)
    return found
