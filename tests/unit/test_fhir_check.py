"""Each defect that one of the other checkers lets through is refused here, by path, and without showing the value."""

import copy
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_bridge.errors import Refused
from fhir_bridge.fhir import check

LOINC = "http://loinc.org"
CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
VITAL = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}]
REFUSED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "asked-declined"}]}


def mmhg(value: object) -> dict[str, Any]:
    return {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}


def blood_pressure(**more: Any) -> dict[str, Any]:
    component = [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": mmhg(120)},
        {"code": {"coding": [{"system": LOINC, "code": "8462-4"}]}, "valueQuantity": mmhg(Decimal("80.50"))},
    ]
    base = {"resourceType": "Observation", "status": "final", "category": VITAL, "code": {"coding": [{"system": LOINC, "code": "85354-9"}]}}
    return base | {"subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2026-03-02T09:00:00-05:00", "component": component} | more


def temperature(**more: Any) -> dict[str, Any]:
    base = {"resourceType": "Observation", "status": "final", "code": {"text": "Temperature"}, "valueQuantity": {"value": Decimal("36.80")}}
    return {key: value for key, value in (base | more).items() if value is not ...}


def appointment(**more: Any) -> dict[str, Any]:
    base = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-09T09:00:00-05:00",
        "end": "2026-03-09T10:00:00-05:00",
        "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
    }
    return {key: value for key, value in (base | more).items() if value is not ...}


def encounter(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Encounter", "status": "planned", "class": CLASS} | more


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource} for resource in resources]} | more


def condition(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/p1"}} | more


def paths(resource: Any, *, sending: bool = False) -> list[str]:
    return [fault.path for fault in check.faults(resource, sending=sending)]


def rules(resource: Any, *, sending: bool = False) -> str:
    return " ".join(fault.message for fault in check.faults(resource, sending=sending))


@pytest.mark.parametrize(
    "resource",
    [
        blood_pressure(),
        temperature(),
        temperature(valueQuantity=..., dataAbsentReason=REFUSED),
        temperature(effectiveDateTime="2024-02-29T23:59:60.123456789Z"),
        temperature(effectiveDateTime="2026-03"),
        temperature(_status={"extension": [{"url": "http://clinic.example/why", "valueCode": "x"}]}, status=...),
        appointment(),
        appointment(status="cancelled", start=..., end=..., cancelationReason={"text": "moved away"}),
        encounter(),
        {"resourceType": "Patient", "name": [{"given": ["Testa", None], "_given": [None, {"id": "second"}]}]},
        bundle(temperature(), {"resourceType": "Specimen"}),
        {"resourceType": "Parameters", "parameter": [{"name": "one", "resource": temperature()}]},
    ],
)
def test_what_r4_allows_has_no_fault(resource: dict[str, Any]) -> None:
    assert check.faults(resource) == []


DEFECTS = {
    "an unknown element": (temperature(hue="red"), "Observation.hue"),
    "a naive dateTime": (temperature(effectiveDateTime="2026-03-02T09:00:00"), "Observation.effectiveDateTime"),
    "a time without seconds": (temperature(effectiveDateTime="2026-03-02T09:00Z"), "Observation.effectiveDateTime"),
    "a time of 24:00": (temperature(effectiveDateTime="2026-03-02T24:00:00Z"), "Observation.effectiveDateTime"),
    "the 31st of February": (temperature(effectiveDateTime="2026-02-31"), "Observation.effectiveDateTime"),
    "the 29th of February 2100": (temperature(effectiveDateTime="2100-02-29T00:00:00Z"), "Observation.effectiveDateTime"),
    "a positiveInt of 0": (appointment(minutesDuration=0), "Appointment.minutesDuration"),
    "an unknown status": (temperature(status="bogus"), "Observation.status"),
    "a number as text": (temperature(valueQuantity={"value": "36.8"}), "Observation.valueQuantity.value"),
    "a boolean as text": ({"resourceType": "Patient", "active": "true"}, "Patient.active"),
    "a whole number as text": (appointment(minutesDuration="30"), "Appointment.minutesDuration"),
    "a whole number with a point": (appointment(minutesDuration=Decimal("30.0")), "Appointment.minutesDuration"),
    "an id of 65 characters": (temperature(id="x" * 65), "Observation.id"),
    "comments of DSTU2": (temperature(fhir_comments=["old"]), "Observation.fhir_comments"),
    "an unknown type in a Bundle": (bundle({"resourceType": "Bogus"}), "Bundle.entry[0].resource.resourceType"),
    "an unknown type contained": (temperature(contained=[{"resourceType": "Bogus"}]), "Observation.contained[0].resourceType"),
    "an entry's resource without a type": (bundle({"id": "a"}), "Bundle.entry[0].resource.resourceType"),
    "a missing status": (temperature(status=...), "Observation.status"),
    "a missing class": ({"resourceType": "Encounter", "status": "planned"}, "Encounter.class"),
    "two value[x]": (temperature(valueString="warm"), "Observation"),
    "an empty list": (temperature(note=[]), "Observation.note"),
    "an empty object": (temperature(method={}), "Observation.method"),
    "an empty text": (temperature(valueQuantity={"unit": ""}), "Observation.valueQuantity.unit"),
    "a null": (temperature(status=None), "Observation.status"),
    "a null that keeps no place": ({"resourceType": "Patient", "name": [{"given": ["T", None]}]}, "Patient.name[0].given[1]"),
    "a reference to the wrong type": (temperature(encounter={"reference": "Patient/p1"}), "Observation.encounter.reference"),
    "a reference to no type": (temperature(encounter={"reference": "Visit/1"}), "Observation.encounter.reference"),
    "a dangling contained reference": (temperature(encounter={"reference": "#gone"}), "Observation.encounter.reference"),
    "an object where a list belongs": (temperature(category=VITAL[0]), "Observation.category"),
    "no medication": (
        {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "subject": {"reference": "Patient/1"},
            "effectiveDateTime": "2026",
        },
        "MedicationAdministration",
    ),
    "a code outside a required value set": (condition(clinicalStatus={"text": "active"}), "Condition.clinicalStatus.coding"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_refused_at_its_path(defect: str) -> None:
    resource, path = DEFECTS[defect]
    assert path in paths(resource)


INVARIANTS = {
    "per-1": encounter(period={"start": "2026-03-02T15:00:00Z", "end": "2026-03-02T09:00:00-05:00"}),
    "obs-3": temperature(referenceRange=[{"type": {"text": "normal"}}]),
    "obs-6": temperature(dataAbsentReason=REFUSED),
    "obs-7": blood_pressure(
        valueQuantity=mmhg(1), component=[{"code": {"coding": [{"system": LOINC, "code": "85354-9"}]}, "valueQuantity": mmhg(1)}]
    ),
    "vs-1": blood_pressure(effectiveDateTime="2026-03"),
    "vs-2": temperature(category=VITAL, valueQuantity=...),
    "vs-3": blood_pressure(component=[{"code": {"text": "systolic"}}]),
    "app-1": appointment(participant=[{"status": "accepted"}]),
    "app-2": appointment(status="proposed", end=...),
    "app-3": appointment(status="noshow", start=..., end=...),
    "app-4": appointment(status="noshow", cancelationReason={"text": "did not come"}),
    "us-order": appointment(end="2026-03-09T08:59:59-05:00"),
    "ait-1": {"resourceType": "AllergyIntolerance", "patient": {"reference": "Patient/p1"}},
    "con-1": condition(stage=[{"type": {"text": "x"}}]),
    "con-2": condition(evidence=[{"id": "x"}]),
    "con-4": condition(abatementString="gone"),
    "qty-3": temperature(valueQuantity={"value": 1, "code": "Cel"}),
    "rat-1": temperature(valueQuantity=..., valueRatio={"numerator": {"value": 1}}),
    "rng-2": temperature(valueQuantity=..., valueRange={"low": {"value": 2}, "high": {"value": 1}}),
    "ext-1": temperature(extension=[{"url": "http://clinic.example/x"}]),
    "cpt-2": {"resourceType": "Patient", "telecom": [{"value": "555-0100"}]},
    "pat-1": {"resourceType": "Patient", "contact": [{"gender": "other"}]},
    "inv-1": {"resourceType": "Task", "status": "draft", "intent": "order", "authoredOn": "2026-03-02", "lastModified": "2026-03-01"},
    "dom-3": temperature(contained=[{"resourceType": "Patient", "id": "p"}]),
    "bdl-1": bundle(temperature(), total=1),
    "bdl-3": bundle(temperature(), type="transaction"),
    "bdl-7": bundle(entry=[{"fullUrl": "urn:uuid:a", "resource": temperature()}] * 2),
    "bdl-12": bundle(temperature(), type="message"),
}


@pytest.mark.parametrize("rule", INVARIANTS)
def test_an_invariant_is_cited_by_the_id_r4_gives_it(rule: str) -> None:
    assert f"({rule})" in rules(INVARIANTS[rule])


def test_an_administration_needs_a_dose_or_a_rate() -> None:
    given_drug = {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        "medicationCodeableConcept": {"text": "saline"},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-02",
    }
    assert "(mad-1)" in rules(given_drug | {"dosage": {"text": "some"}})
    assert rules(given_drug | {"dosage": {"rateQuantity": {"value": 100, "unit": "mL/h"}}}) == ""


@pytest.mark.parametrize(
    ("status", "period", "path"),
    [
        ("finished", {"start": "2026-03-02T09:00:00Z"}, "Encounter.period.end"),
        ("in-progress", {"end": "2026-03-02T09:00:00Z"}, "Encounter.period.start"),
        ("in-progress", {"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00Z"}, "Encounter.period.end"),
    ],
)
def test_our_own_encounters_say_when_they_began_and_ended(status: str, period: dict[str, str], path: str) -> None:
    visit = encounter(status=status, period=period)
    assert path in paths(visit, sending=True)
    assert paths(visit) == []  # a hospital's may leave it out: R4 has no such rule


def test_every_fault_is_told_at_once_with_its_place_in_the_bundle() -> None:
    bad = bundle(temperature(status="bogus"), appointment(start=...), temperature(contained=[{"resourceType": "Patient", "gender": "x"}]))
    assert set(paths(bad)) == {
        "Bundle.entry[0].resource.status",
        "Bundle.entry[1].resource",
        "Bundle.entry[2].resource.contained[0]",
        "Bundle.entry[2].resource.contained[0].gender",
    }


def test_a_contained_resource_may_point_to_its_neighbour_in_the_container() -> None:
    visit = encounter(
        subject={"reference": "#p"},
        contained=[
            {"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": "#o"}},
            {"resourceType": "Organization", "id": "o", "name": "Test Clinic"},
        ],
    )
    assert check.faults(visit) == []


@pytest.mark.parametrize(
    "thing", [None, [], "Patient", 1, {}, {"resourceType": None}, {"resourceType": "Bogus"}, {"resourceType": ["Patient"]}]
)
def test_what_is_no_resource_is_refused_by_its_type(thing: object) -> None:
    assert paths(thing) == ["resourceType"]


@pytest.mark.parametrize(
    "inner", [{"id": "x", "resourceType": []}, {"id": "x", 1: 2, "resourceType": "Patient"}, {"id": ["x"], "resourceType": "Specimen"}]
)
def test_an_odd_contained_resource_is_a_fault_and_no_traceback(inner: dict[Any, Any]) -> None:
    assert check.faults(temperature(subject={"reference": "#x"}, contained=[inner], extension=[{1: 2}]))


def test_endless_nesting_is_a_fault_and_no_traceback() -> None:
    deep: dict[str, Any] = {"url": "http://clinic.example/x", "valueCode": "x"}
    for _ in range(5000):
        deep = {"url": "http://clinic.example/x", "extension": [deep]}
    assert check.faults(temperature(extension=[deep]))


def test_require_raises_every_fault() -> None:
    with pytest.raises(Refused) as refused:
        check.require(temperature(status="bogus", hue="red"))
    assert {fault.path for fault in refused.value.faults} == {"Observation.status", "Observation.hue"}


@pytest.mark.parametrize("secret", ["Quux-Secretname", "1941-13-41", "quuxsecret", " 41"])
def test_no_fault_shows_a_value(secret: str) -> None:
    for resource in (blood_pressure(), appointment(), encounter(period={"start": "2026-03-02T15:00:00Z"}), INVARIANTS["dom-3"]):
        for place in _leaves(resource):
            damaged = copy.deepcopy(resource)
            _put(damaged, place, secret)
            assert not any(secret in str(fault) for fault in check.faults(damaged))


def test_a_key_that_is_no_name_is_not_shown() -> None:
    patient = {"resourceType": "Patient", "Testa Testperson": 1, "name": [{"1941-01-01 born": {}}]}
    assert sorted(paths(patient)) == ["Patient", "Patient.name[0]"]


def test_importing_the_check_compiles_nothing() -> None:
    code = "import fhir_bridge.fhir.check, fhir_bridge.fhir.schema as s; assert s.document.cache_info().currsize == 0"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _leaves(node: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [(*place, step) for step, _ in steps] + [deeper for step, value in steps for deeper in _leaves(value, (*place, step))]


def _put(node: Any, place: tuple[Any, ...], value: Any) -> None:
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value


ODD = st.sampled_from(
    [None, "", " ", "x", 0, -1, 1.5, Decimal("1E+400"), True, [], {}, [None], [[]], {"extension": 1}, {"coding": {}}, "#a", "\ud800"]
)
STARTS = [
    blood_pressure(),
    appointment(),
    INVARIANTS["rng-2"],
    INVARIANTS["dom-3"],
    bundle(temperature(contained=[{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1"}}]), total=1, type="history"),
    condition(stage=[{"assessment": [{"reference": "#"}]}], evidence=[{"code": [{"text": "x"}]}]),
    {
        "resourceType": "Task",
        "status": "draft",
        "intent": "order",
        "authoredOn": "2026",
        "lastModified": "2026-03",
        "input": [{"type": {"text": "x"}, "valueCode": "y"}],
    },
    {"resourceType": "Patient", "name": [{"given": ["T", None], "_given": [None, {"id": "x"}]}], "contact": [{"name": {"text": "T"}}]},
]


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(STARTS),
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(["drop", "double", "odd", "move"]), ODD), max_size=4),
)
def test_no_damage_gives_a_traceback(start: dict[str, Any], damage: list[tuple[int, str, Any]]) -> None:
    resource = copy.deepcopy(start)
    for number, how, odd in damage:
        _harm(resource, number, how=how, odd=odd)
    for fault in check.faults(resource, sending=True):
        assert fault.message
        assert fault.path


def _harm(resource: dict[str, Any], number: int, *, how: str, odd: Any) -> None:
    places = _leaves(resource)
    if not places:
        return
    place = places[number % len(places)]
    holder: Any = resource
    for step in place[:-1]:
        holder = holder[step]
    old = holder[place[-1]]
    if how == "drop":
        del holder[place[-1]]
    elif how == "double":
        holder[place[-1]] = [copy.deepcopy(old), copy.deepcopy(old)]
    elif how == "odd":
        holder[place[-1]] = copy.deepcopy(odd)
    else:
        resource[str(places[number // 7 % len(places)][-1])] = copy.deepcopy(old)
