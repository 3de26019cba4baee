"""Elements, bundles, outcomes, sameness and the second opinion: each bears whatever a server sends."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.errors import Fault, Refused
from fhir_bridge.fhir import bundle, check, elements, models, outcome, same

PATIENT = {"resourceType": "Patient", "id": "p1"}
KEYS = [
    "issue",
    "severity",
    "code",
    "details",
    "text",
    "expression",
    "entry",
    "response",
    "status",
    "resource",
    "outcome",
    "link",
    "relation",
    "url",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("path", "kind", "many"),
    [
        ("Observation", "Observation", False),
        ("Observation.component.valueQuantity", "Quantity", False),
        ("Observation.component[0].valueQuantity.code", "code", False),
        ("Observation.component", "Observation.component", True),
        ("Observation.component.referenceRange.low", "Quantity", False),
        ("Patient.name.given", "string", True),
        ("Patient._birthDate", "Element", False),
        ("Patient.name._given", "Element", True),
        ("Encounter.class.system", "uri", False),
        ("Observation.resourceType", "code", False),
        ("MedicationAdministration.contained", "Resource", True),
        ("Timing.repeat.boundsPeriod.start", "dateTime", False),
    ],
)
def test_a_path_has_r4s_type(path: str, kind: str, many: bool) -> None:
    assert elements.type_of(path) == kind
    assert elements.is_list(path) is many


@pytest.mark.parametrize(
    "path",
    [
        "Observation.hue",
        "Observation.value",
        "Observation.value[x]",
        "Observation.valueMoney",
        "Bogus",
        "Bogus.id",
        "Patient.name.given.x",
        "",
    ],
)
def test_what_r4_does_not_have_has_no_type(path: str) -> None:
    assert elements.type_of(path) is None
    assert not elements.is_list(path)


def test_elements_say_what_is_required_and_where_references_point() -> None:
    assert elements.is_required("Observation.status")
    assert not elements.is_required("Observation.subject")
    encounter = elements.element("Observation.encounter")
    assert encounter is not None
    assert encounter.targets == {"Encounter"}
    value = elements.element("Observation.valueQuantity")
    assert value is not None
    assert value.choice == "value[x]"


def test_a_transaction_is_what_r4_calls_one() -> None:
    made = bundle.transaction(
        [
            bundle.Entry("PUT", "Patient/p1", PATIENT, full_url="urn:uuid:1", if_match='W/"1"'),
            bundle.Entry("POST", "Patient", PATIENT, if_none_exist="identifier=x|1"),
            bundle.Entry("DELETE", "Patient/p2"),
        ]
    )
    assert check.faults(made) == []
    assert made["entry"][0]["request"] == {"method": "PUT", "url": "Patient/p1", "ifMatch": 'W/"1"'}
    assert "resource" not in made["entry"][2]
    assert check.faults(bundle.batch([])) == []


def test_resources_come_out_of_whatever_holds_them() -> None:
    inner = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "x"}}, {"resource": PATIENT}]}
    assert bundle.resources(PATIENT) == [PATIENT]
    assert bundle.resources([PATIENT, {"resourceType": "Bundle", "entry": [{"resource": inner}]}]) == [PATIENT, PATIENT]
    holder = {"resourceType": "Encounter", "contained": [PATIENT]}
    assert bundle.resources(holder) == [holder]


@pytest.mark.parametrize(
    "document", [None, 1, {}, [1], {"resourceType": "Bundle", "entry": 1}, {"resourceType": "Bundle", "entry": [{"resource": []}]}]
)
def test_what_holds_no_resource_is_refused(document: object) -> None:
    with pytest.raises(Refused):
        bundle.resources(document)


def test_answers_are_read_in_the_servers_order() -> None:
    reply = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [
            {"response": {"status": "201 Created", "location": "Patient/1/_history/1", "etag": 'W/"1"'}},
            {"response": {"status": "4xx", "outcome": {"resourceType": "OperationOutcome"}}},
            None,
        ],
        "link": [{"relation": "self", "url": "a"}, {"relation": "next", "url": "http://hospital.example/fhir?page=2"}],
    }
    assert [answer.status for answer in bundle.entries(reply)] == [201, 0, 0]
    assert bundle.entries(reply)[0].location == "Patient/1/_history/1"
    assert bundle.next_link(reply) == "http://hospital.example/fhir?page=2"


def test_an_outcome_of_faults_is_r4_and_reads_back_to_its_paths() -> None:
    made = outcome.operation_outcome([Fault("Observation.status", "is required; add it"), Fault("", "is no JSON")], code="structure")
    assert check.faults(made) == []
    assert [fault.path for fault in outcome.issues(made)] == ["Observation.status", ""]
    assert outcome.issues(made, texts=True)[0].message == "structure: Observation.status: is required; add it"
    assert check.faults(outcome.operation_outcome([])) == []


def test_warnings_are_no_faults_and_a_servers_text_is_only_taken_on_request() -> None:
    said = {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "warning", "code": "value"},
            {"severity": "error", "code": "invalid", "diagnostics": "Testperson is odd", "location": ["x"]},
        ],
    }
    assert outcome.issues(said) == [Fault("x", "invalid")]
    assert "Testperson" in outcome.issues(said, texts=True)[0].message


@given(ANYTHING)
def test_no_reply_gives_a_traceback(thing: Any) -> None:
    outcome.issues(thing, texts=True)
    outcome.issues({"resourceType": "OperationOutcome", "issue": thing}, texts=True)
    outcome.issues({"resourceType": "OperationOutcome", "issue": [thing]}, texts=True)
    bundle.entries(thing)
    bundle.entries({"entry": thing})
    bundle.next_link({"link": thing})
    assert same.same(thing, thing)


def test_sameness_is_of_meaning() -> None:
    assert same.same({"a": Decimal("36.80"), "b": "2026-03-02T09:00:00-05:00"}, {"b": "2026-03-02T14:00:00.000Z", "a": 36.8})
    assert not same.same({"a": 1}, {"a": True})
    assert not same.same([1, 2], [2, 1])
    assert same.differences({"a": [1, {"b": "x"}], "c": 1}, {"a": [1, {"b": "y"}, 3], "d": None}, at="Patient") == [
        "Patient.a[1].b",
        "Patient.a[2]",
        "Patient.c",
        "Patient.d",
    ]


def test_the_second_opinion_tells_path_and_rule() -> None:
    assert models.second_opinion(PATIENT) == []
    assert models.second_opinion(PATIENT | {"hue": "red"}) == [Fault("Patient.hue", "is no element of R4; remove it")]
    paths = [fault.path for fault in models.second_opinion({"resourceType": "Patient", "name": [{"period": {"start": "Quux"}}]})]
    assert paths == ["Patient.name[0].period.start"]


@pytest.mark.parametrize(
    "thing",
    [
        None,
        {"resourceType": "Bogus"},
        {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Bogus"}}]},
        {"resourceType": "Patient", "contained": [{"resourceType": "Bogus"}]},
        {"resourceType": "Patient", "name": "Quux"},
        {"resourceType": "Encounter"},
    ],
)
def test_the_second_opinion_never_raises_and_never_shows_a_value(thing: object) -> None:
    assert models.second_opinion(thing)
    assert not any("Quux" in str(fault) for fault in models.second_opinion(thing))
