"""Clinic → bridge → a real HAPI server → back, over HTTP and with real processes: once, valid, and equal."""

import signal
from typing import Any

from outside import CASES, Clinic
from servers import validate

from fhir_bridge import bootstrap, documents
from fhir_bridge.clinic import records
from fhir_bridge.hospital.client import Call, Client, Reply
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert


def test_a_posted_session_is_held_once_is_valid_and_comes_back_equal(
    clinic: Clinic, hapi: str, hospital: Client, session: dict[str, Any]
) -> None:
    clinic.post(session)
    with clinic.worker():
        delivery = clinic.delivered(session)
    held = [_read(hospital, sent["theirs"]) for sent in delivery["resources"]]
    assert all(sent["kept"]["whole"] for sent in delivery["resources"])
    assert len(held) > 100
    _require_each_once(hospital, delivery, held)
    collection = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each, "fullUrl": _url(hapi, each)} for each in held],
    }
    assert validate(hapi, collection) == []
    place = bootstrap.site(Settings(), "default")
    assert documents.canonical(convert.map_back(place.mapping, held).record) == documents.canonical(records.load("session", session))


def test_a_session_posted_twice_is_held_once(clinic: Clinic, hospital: Client, session: dict[str, Any]) -> None:
    first = clinic.post(session, key="once")
    assert clinic.post(session, key="once") == first
    with clinic.worker():
        clinic.delivered(session)
        assert clinic.post(session, key="again") == first
        delivery = clinic.delivered(session)
    _require_each_once(hospital, delivery, [_read(hospital, sent["theirs"]) for sent in delivery["resources"]])


def test_a_worker_killed_when_hapi_had_committed_leaves_each_resource_there_once(
    clinic: Clinic, hospital: Client, session: dict[str, Any]
) -> None:
    clinic.post(session)
    with clinic.worker(FHIR_BRIDGE_FAULT="O8:kill:1") as worker:
        assert worker.wait(60) == -signal.SIGKILL
    assert clinic.delivery(session)["attempts"][-1]["outcome"] == "unknown"
    with clinic.worker():
        delivery = clinic.delivered(session)
    _require_each_once(hospital, delivery, [_read(hospital, sent["theirs"]) for sent in delivery["resources"]])


def test_every_case_is_one_hapi_can_hold(hapi: str) -> None:
    """Not through the bridge: what the pairs beside the cases say is valid to HAPI as it stands."""
    told = {}
    for file in sorted(CASES.glob("*/session-*.fhir.json")):
        bundle = documents.loads(file.read_bytes())
        entries = [{"fullUrl": f"urn:uuid:{entry['resource']['id']}", "resource": entry["resource"]} for entry in bundle["entry"]]
        told[file.stem] = validate(hapi, {"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert not {name: errors for name, errors in told.items() if errors}


def _require_each_once(hospital: Client, delivery: dict[str, Any], held: list[dict[str, Any]]) -> None:
    """One version of each, and no other resource with the same identifier."""
    assert {each["meta"]["versionId"] for each in held} == {"1"}
    patient = next(sent["theirs"] for sent in delivery["resources"] if sent["ours"].startswith("Patient/"))
    for kind in ("Encounter", "Observation", "MedicationAdministration", "Procedure"):
        found = _ask(hospital, f"{kind}?subject={patient}&_summary=count")
        assert found["total"] == len([each for each in held if each["resourceType"] == kind]), kind


def _read(hospital: Client, reference: str) -> dict[str, Any]:
    return _ask(hospital, reference)


def _ask(hospital: Client, path: str) -> dict[str, Any]:
    reply = hospital.send(Call("GET", path, headers={"Cache-Control": "no-cache"}))
    assert isinstance(reply, Reply), reply
    assert reply.status == 200, reply
    return dict(reply.body)


def _url(base: str, resource: dict[str, Any]) -> str:
    return f"{base}/{resource['resourceType']}/{resource['id']}"
