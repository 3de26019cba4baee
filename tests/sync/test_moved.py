"""A session posted under the wrong patient and corrected: the hospital keeps nothing of it under the first."""

from typing import Any

from ward import Ward, post, state, work

from fhir_bridge.sync import status
from fhir_bridge.sync.bridge import Bridge


def test_a_corrected_patient_moves_the_whole_session_and_leaves_the_first_patient_as_it_was(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    first = hospital.held("Patient")[0]
    other = {"id": "P-OTHER", "family_name": "Synthetic-Other", "given_names": ["Mock"], "birth_date": "1990-01-01", "sex": "other"}
    corrected = {
        "version": 2,
        "patient": other,
        "correction": {"reason": "posted under another patient", "at": "2026-03-03T08:00:00-05:00"},
    }
    post(bridge, session | corrected)
    work(bridge)
    assert state(bridge, session)["state"] == "delivered"
    patients = {patient["id"]: patient for patient in hospital.held("Patient")}
    assert patients.pop(first["id"]) == first
    (second,) = patients.values()
    held = [resource for kind in ("Encounter", "Observation", "Procedure", "MedicationAdministration") for resource in hospital.held(kind)]
    assert {resource["subject"]["reference"] for resource in held} == {f"Patient/{second['id']}"}
    assert _patients_of(bridge, session) == {f"Patient/{second['id']}"}


def _patients_of(bridge: Bridge, session: dict[str, Any]) -> set[str]:
    shown = status.of_record(bridge, tenant="default", kind="session", id=session["id"])
    assert shown is not None
    said = {one["theirs"] for delivery in shown["deliveries"] for one in delivery["resources"]}
    return {reference for reference in said if reference.startswith("Patient/")}
