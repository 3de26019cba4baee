"""What holds for every record: taken once it is taken again unchanged, in any order, and its JSON Schema takes it too."""

from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import appointments, sessions, shuffled

from fhir_bridge import documents
from fhir_bridge.clinic import records

calm = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
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
@given(sessions(), appointments())
def test_the_kind_of_a_record_is_told_by_its_fields(session: dict[str, Any], appointment: dict[str, Any]) -> None:
    assert (records.kind_of(session), records.kind_of(appointment)) == ("session", "appointment")
