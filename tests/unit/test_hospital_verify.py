"""After a lost answer: which search is made, and what counts as found."""

from typing import Any

import pytest

from fhir_bridge.hospital.capabilities import Capabilities, SiteFile, TypeCapabilities
from fhir_bridge.hospital.parts import Verb, Write
from fhir_bridge.hospital.verify import Adopt, Nothing, Several, found, searches

KNOWN = {"Patient/p": "Patient/900"}
PULSE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"coding": [{"code": "8867-4"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2026-03-02T09:00:00-05:00",
    "valueQuantity": {"value": 72, "unit": "/min"},
}
OURS = {"identifier": [{"system": "urn:ours", "value": "a|b"}]}
HELD = PULSE | {
    "id": "77",
    "subject": {"reference": "Patient/900"},
    "effectiveDateTime": "2026-03-02T14:00:00Z",
    "meta": {"versionId": "3"},
}


def write(verb: Verb = "look-then-create", resource: dict[str, Any] = PULSE, **more: Any) -> Write:
    return Write(f"{resource['resourceType']}/o", verb, resource, "", **more)


def server(*parameters: str, kind: str = "Observation") -> Capabilities:
    return Capabilities({kind: TypeCapabilities(frozenset({"search-type", "read"}), frozenset(parameters))})


def searchset(*resources: dict[str, Any], more: bool = False) -> dict[str, Any]:
    link = [{"relation": "next", "url": "?page=2"}] if more else []
    return {"resourceType": "Bundle", "type": "searchset", "link": link, "entry": [{"resource": each} for each in resources]}


def test_by_our_own_id_it_is_read() -> None:
    (call,) = searches(write("put"), server("identifier"), KNOWN)
    assert (call.method, call.path) == ("GET", "Observation/o")


def test_by_identifier_the_search_is_a_form_with_the_bar_escaped() -> None:
    (call,) = searches(write(resource=PULSE | OURS), server("identifier"), KNOWN)
    assert (call.method, call.path, call.form) == ("POST", "Observation/_search", (("identifier", r"urn:ours|a\|b"),))
    assert call.headers["Cache-Control"] == "no-cache"


def test_without_identifier_it_is_searched_by_patient_code_and_time() -> None:
    (call,) = searches(write(resource=PULSE | OURS), server("patient", "code", "date"), KNOWN)
    assert call.form == (("patient", "900"), ("code", "8867-4"), ("date", "2026-03-02T09:00:00-05:00"))


def test_what_lasts_is_searched_by_a_time_within_it_because_an_exact_one_finds_no_period() -> None:
    act = {"resourceType": "Procedure", "subject": {"reference": "Patient/p"}, "performedPeriod": {"start": "2026-03-02T09:00:00-05:00"}}
    (call,) = searches(write(resource=act), server("patient", "date", kind="Procedure"), KNOWN)
    assert call.form == (("patient", "900"), ("date", "ge2026-03-02T09:00:00-05:00"), ("date", "le2026-03-02T09:00:00-05:00"))


def test_a_server_without_such_a_search_gives_no_call() -> None:
    assert searches(write(), server("code"), KNOWN) == ()


def test_a_patient_is_never_searched_by_content() -> None:
    patient = {"resourceType": "Patient", "id": "o", "name": [{"family": "Invented"}]}
    assert searches(write(resource=patient), server("name", "birthdate", kind="Patient"), {}) == ()


def test_a_patient_is_searched_by_the_hospitals_own_number() -> None:
    patient = {
        "resourceType": "Patient",
        "id": "o",
        "identifier": [{"system": "urn:ours", "value": "1"}, {"system": "urn:mrn", "value": "M"}],
    }
    capabilities = Capabilities(server("identifier", kind="Patient").types, site=SiteFile(patient_system="urn:mrn"))
    (call,) = searches(write(resource=patient), capabilities, {})
    assert call.form == (("identifier", "urn:mrn|M"),)
    assert isinstance(found(write(resource=patient), searchset(patient | {"id": "9"}), {}), Adopt)


def test_one_match_by_content_is_adopted_even_in_another_zone() -> None:
    result = found(write(), searchset(HELD), KNOWN)
    assert isinstance(result, Adopt)
    assert (result.entry.id, result.entry.etag) == ("77", 'W/"3"')


@pytest.mark.parametrize(
    "other",
    [
        {"valueQuantity": {"value": 73}},
        {"effectiveDateTime": "2026-03-02T09:00:00Z"},
        {"subject": {"reference": "Patient/901"}},
        {"code": {"coding": [{"code": "9279-1"}]}},
        {"resourceType": "OperationOutcome"},
    ],
)
def test_what_differs_in_value_time_patient_or_code_is_not_it(other: dict[str, Any]) -> None:
    assert found(write(), searchset(HELD | other), KNOWN) == Nothing()


def test_a_resource_with_another_identifier_of_ours_is_not_it() -> None:
    another = HELD | {"identifier": [{"system": "urn:ours", "value": "a|bc"}]}
    assert found(write(resource=PULSE | OURS), searchset(another), KNOWN) == Nothing()


def test_several_matches_are_a_persons() -> None:
    assert found(write(), searchset(HELD, HELD | {"id": "78"}), KNOWN) == Several(("77", "78"))


def test_one_match_with_more_pages_to_come_is_not_known_to_be_the_only_one() -> None:
    assert isinstance(found(write(), searchset(HELD, more=True), KNOWN), Several)
    assert isinstance(found(write(), searchset(more=True), KNOWN), Several)


def test_nothing_there_is_nothing() -> None:
    assert found(write(), searchset(), KNOWN) == Nothing()
    assert found(write("put"), None, KNOWN) == Nothing()


def test_an_update_arrived_when_the_hospital_holds_all_of_it() -> None:
    update = write("update", target="77", etag='W/"2"')
    assert isinstance(found(update, HELD | {"interpretation": [{"text": "added there"}]}, KNOWN), Adopt)
    assert found(update, HELD | {"valueQuantity": {"value": 70}}, KNOWN) == Nothing()


def test_a_deletion_arrived_when_it_is_gone() -> None:
    assert isinstance(found(write("delete", target="77"), None, KNOWN), Adopt)
    assert found(write("delete", target="77"), HELD, KNOWN) == Nothing()
