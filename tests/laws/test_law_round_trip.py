"""What a record becomes reads back as the record, byte for byte, and holds nothing empty."""

import random
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from law_cases import APPOINTMENTS, SESSIONS, SHIPPED, Record, Resource, every_story, law, leaves, same, story

from fhir_bridge.mapping.write import Writer

SEED = st.integers(0, 2**32)


def round_trip(record: Record, seed: int) -> Record:
    """The record read out of its own resources in any order, by the fast reader and by the plain one; neither leaves anything over."""
    found = list(SHIPPED.to_fhir(record).resources)
    random.Random(seed).shuffle(found)
    fast, plain = SHIPPED.from_fhir(found), SHIPPED.from_fhir(found, onto={})
    assert same(fast.record, plain.record)
    assert [(str(one.residue), str(one.conflicts)) for one in (fast, plain)] == [("[]", "[]")] * 2
    return plain.record


@law(record=SESSIONS, seed=SEED)
def test_a_session_comes_back_byte_for_byte_from_its_resources_in_any_order(record: Record, seed: int):
    assert same(round_trip(record, seed), record)


@law(record=APPOINTMENTS, seed=SEED)
def test_an_appointment_comes_back_byte_for_byte(record: Record, seed: int):
    assert same(round_trip(record, seed), record)


@every_story
def test_every_story_comes_back_byte_for_byte(case: Path):
    record = story(case)
    assert same(round_trip(record, 1), record)


@law(record=SESSIONS)
def test_nothing_empty_is_ever_written_and_the_record_is_left_as_it_was(record: Record):
    before = deepcopy(record)
    written = SHIPPED.to_fhir(record).resources
    assert [path for path, value in leaves(written) if value is None or value in ("", [], {})] == []
    assert same(record, before)


@law(record=SESSIONS)
def test_the_fast_writer_writes_what_the_plain_writer_writes(record: Record):
    assert same(SHIPPED._write_all(record), Writer(SHIPPED.templates, SHIPPED.by_type).write(record).resources)


@every_story
def test_every_digit_and_offset_of_a_story_is_kept(case: Path):
    record = story(case)
    found = leaves_as_text(SHIPPED.to_fhir(record).resources)
    sent = {str(value) for path, value in leaves(record) if path[-1] not in ("absent", "route")}
    numbers_and_times = {value for value in sent if value[:1].isdigit()}
    known = {value for value in numbers_and_times if any(value in text for text in found)}
    assert numbers_and_times == known


@law(record=SESSIONS, data=st.data())
def test_what_is_absent_stays_absent(record: Record, data: Any):
    """A field that is taken out of a record is in none of its resources, and reading them does not bring it back."""
    optional = ["readings", "symptoms", "drugs", "fluids", "reactions", "allergies", "planned", "indication", "follow_up", "companion"]
    gone = data.draw(st.sampled_from([name for name in optional if name in record] or ["status_reason"]))
    if gone == "reactions":
        return  # drugs name them
    less = {key: value for key, value in record.items() if key != gone}
    read = SHIPPED.from_fhir(SHIPPED.to_fhir(less).resources).record
    assert same(read, less)


def leaves_as_text(found: list[Resource]) -> set[str]:
    return {str(value) for _, value in leaves(found)}
