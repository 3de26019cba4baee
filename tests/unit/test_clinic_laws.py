"""What holds for every record: taken once it is taken again unchanged, in any order, and its JSON Schema takes it too."""

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import appointments, referrals, sessions, shuffled

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.errors import Refused

calm = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
CASES = [documents.loads(path.read_bytes()) for path in (Path(__file__).parents[2] / "fixtures" / "cases").rglob("session-1.json")]
KINDS = {"session": sessions(), "appointment": appointments(), "referral": referrals()}
VALIDATORS = {kind: jsonschema_rs.validator_for(documents.dumps(records.json_schema(kind)).decode()) for kind in records.KINDS}


@calm
@given(sessions())
def test_a_session_in_normal_form_loads_as_itself(session: dict[str, Any]) -> None:
    assert documents.dumps(records.load("session", session)) == documents.dumps(session)


@calm
@given(appointments())
def test_an_appointment_in_normal_form_loads_as_itself(appointment: dict[str, Any]) -> None:
    assert documents.dumps(records.load("appointment", appointment)) == documents.dumps(appointment)


@calm
@given(referrals())
def test_a_referral_in_normal_form_loads_as_itself_and_fits_its_schema(referral: dict[str, Any]) -> None:
    text = documents.dumps(referral)
    assert documents.dumps(records.load("referral", documents.loads(text))) == text
    VALIDATORS["referral"].validate(documents.loads(text))


@calm
@given(st.data(), sessions())
def test_the_order_of_fields_and_rows_does_not_matter(data: st.DataObject, session: dict[str, Any]) -> None:
    sent = data.draw(shuffled(session))
    assert documents.dumps(records.load("session", sent)) == documents.dumps(session)


@calm
@given(sessions())
def test_a_session_survives_being_written_and_read_digit_for_digit(session: dict[str, Any]) -> None:
    text = documents.dumps(session)
    assert documents.dumps(records.load("session", documents.loads(text))) == text


@calm
@given(sessions())
def test_the_json_schema_takes_what_the_door_takes(session: dict[str, Any]) -> None:
    VALIDATORS["session"].validate(documents.loads(documents.dumps(session)))


@calm
@given(st.one_of(*(made.map(lambda record, kind=kind: (kind, record)) for kind, made in KINDS.items())))
def test_the_kind_of_a_record_is_told_by_its_fields(told: tuple[str, dict[str, Any]]) -> None:
    kind, record = told
    assert records.kind_of(record) == kind
    assert records.identity(kind, record)
    assert records.version(kind, record) >= 1


JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        10**30,
        Decimal("1E+400"),
        Decimal("NaN"),
        0.1,
        "",
        " ",
        "x" * 5000,
        "\ud800",
        "2026-02-30",
        [],
        [None],
        {},
        {"absent": 1},
        {"value": "1", "unit": 3},
        {1: 2},
    ]
)


@st.composite
def broken(draw: Any, document: Any) -> Any:
    """`document` with junk somewhere in it."""
    if not document or not isinstance(document, dict | list) or draw(st.integers(0, 4)) == 0:
        return draw(JUNK)
    place = draw(st.sampled_from(list(document) if isinstance(document, dict) else range(len(document))))
    copied = copy.copy(document)
    copied[place] = draw(broken(document[place]))
    return copied


@settings(calm, max_examples=300)
@given(st.data(), st.sampled_from(CASES))
def test_junk_anywhere_is_taken_or_refused_and_never_a_traceback(data: st.DataObject, session: dict[str, Any]) -> None:
    document = data.draw(broken(session))
    try:
        loaded = records.load("session", document)
    except Refused as refused:
        assert all(fault.message for fault in refused.faults)
    else:
        assert records.load("session", loaded) == loaded
