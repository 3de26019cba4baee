"""A record taken apart into its fields and put together again is the same record; every field has one path and one owner."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import appointments, referrals, sessions

from fhir_bridge import documents
from fhir_bridge.clinic import records
from fhir_bridge.clinic.leaves import built, flat, paths, schema_path
from fhir_bridge.clinic.vitals import Vital
from fhir_bridge.sync.pulling.owners import OWNERS, owner

calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
KINDS = {"session": sessions(), "appointment": appointments(), "referral": referrals()}
EVERY = sorted({path for kind in records.KINDS for path in paths(records.OURS.kinds[kind].schema)})


@calm
@given(st.data(), st.sampled_from(sorted(KINDS)))
def test_a_record_taken_apart_and_put_together_is_the_same_record(data: st.DataObject, kind: str) -> None:
    record = data.draw(KINDS[kind])
    schema = records.OURS.kinds[kind].schema
    leaves = flat(schema, record)
    assert {schema_path(path) for path in leaves} <= set(EVERY)
    again = records.load(kind, built(schema, leaves))
    assert documents.dumps(again) == documents.dumps(records.load(kind, record))


@pytest.mark.parametrize("path", EVERY)
def test_every_field_of_every_kind_of_record_has_an_owner(path: str) -> None:
    assert owner(path) in ("clinic", "hospital")


def test_no_entry_of_the_table_speaks_of_nothing() -> None:
    idle = [entry for entry in OWNERS if not any(path == entry or path.startswith((f"{entry}.", f"{entry}[")) for path in EVERY)]
    assert idle == []


def test_a_field_that_the_table_forgot_has_no_owner() -> None:
    with pytest.raises(KeyError):
        owner("mood")


def test_what_a_hospital_may_change_by_itself_and_what_not() -> None:
    hospitals = {"patient.family_name", "patient.hospital_numbers[].value", "follow_up.start", "series.plan[].end", "referral.status"}
    ours = {"patient.id", "follow_up.id", "drugs[].steps[].dose", "readings[].heart_rate", "performer.name", "referral.received_at"}
    assert {path for path in hospitals | ours if owner(path) == "hospital"} == hospitals


def test_a_sites_own_vitals_are_the_clinics() -> None:
    glucose = Vital("glucose", "mg/dL", Decimal(1), Decimal(1000), "Blood glucose")
    ours = paths(records.Records([glucose]).kinds["session"].schema)
    assert owner(next(path for path in ours if path.endswith("glucose"))) == "clinic"


def test_one_instant_is_one_element_however_it_is_spelt() -> None:
    schema = records.OURS.kinds["session"].schema
    spelt = [{"readings": [{"taken_at": time, "heart_rate": 70}]} for time in ("2026-03-02T09:00:00-05:00", "2026-03-02T14:00:00Z")]
    first, second = (flat(schema, one).keys() for one in spelt)
    assert first == second


def test_a_field_no_schema_knows_is_left_out() -> None:
    schema: Any = records.OURS.kinds["session"].schema
    assert flat(schema, {"id": "S-1", "session": {"id": "S-2"}}) == {"id": "S-1"}


def test_the_page_about_owners_has_the_programs_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "owners.md").read_text()
    assert dict(re.findall(r"^\| `([^`]+)` \| (clinic|hospital) \|$", page, re.MULTILINE)) == dict(OWNERS)
