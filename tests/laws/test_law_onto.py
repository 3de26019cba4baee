"""What a hospital holds is changed as little as can be: an old value stays if it reads as what the record says, and what was not
understood is never removed."""

import random
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hospital_hand import HANDS, decorated
from hypothesis import strategies as st
from law_cases import (
    CASES,
    SESSIONS,
    SHIPPED,
    Record,
    Resource,
    by_id,
    every_story,
    law,
    leaves,
    official_examples,
    resources,
    same,
    story,
    two_way,
)

SEED = st.integers(0, 2**32)
STORY = next(case for case in CASES if case.parent.name == "monitored-clinic-visit" and case.stem == "session-1")


def unchanged(found: list[Resource]) -> None:
    """Reading and writing back leaves every resource as it is, and asks for none to be withdrawn."""
    read = SHIPPED.from_fhir(found)
    assert [str(one) for one in read.conflicts] == []
    after = SHIPPED.to_fhir(read.record, onto=found)
    before = by_id(found)
    assert {name: text for name, text in by_id(after.resources).items() if name in before} == before
    assert after.retracted == []


@law(record=SESSIONS, seed=SEED)
def test_what_a_hospital_made_of_a_session_stays_as_it_is(record: Record, seed: int):
    unchanged(decorated(two_way(resources(record)), random.Random(seed)))


@every_story
@pytest.mark.parametrize("seed", range(3))
def test_what_a_hospital_made_of_a_story_stays_as_it_is(case: Path, seed: int):
    unchanged(decorated(two_way(resources(story(case))), random.Random(seed)))


@pytest.mark.parametrize("hand", HANDS, ids=lambda hand: hand.__name__)
def test_each_thing_a_hospital_does_is_kept_and_changes_nothing_that_is_read(hand: Any):
    found = two_way(resources(story(STORY)))
    before = deepcopy(found)
    for one in found:
        hand(one)
    assert not same(found, before)
    unchanged(found)
    if hand.__name__ not in ("spelt",):
        assert same(SHIPPED.from_fhir(found).record, story(STORY))


def test_a_field_said_twice_is_completed_and_nothing_else_changes():
    found = two_way(resources(story(STORY)))
    whole = by_id(found)
    procedure = next(one for one in found if one["resourceType"] == "Procedure")
    del procedure["performedPeriod"]
    after = SHIPPED.to_fhir(SHIPPED.from_fhir(found).record, onto=found).resources
    assert {name: text for name, text in by_id(after).items() if name in whole} == whole


@law(record=SESSIONS, seed=SEED)
def test_doing_it_twice_changes_nothing(record: Record, seed: int):
    found = decorated(resources(record), random.Random(seed))
    once = SHIPPED.to_fhir(record, onto=found)
    twice = SHIPPED.to_fhir(record, onto=once.resources)
    assert by_id(twice.resources) == by_id(once.resources)
    read = SHIPPED.from_fhir(once.resources).record
    assert same(SHIPPED.from_fhir(twice.resources, onto=read).record, read)


@law(record=SESSIONS)
def test_a_record_written_onto_its_own_resources_leaves_them_and_reads_the_same_onto_itself(record: Record):
    found = resources(record)
    after = SHIPPED.to_fhir(record, onto=found)
    assert (by_id(after.resources), after.retracted) == (by_id(found), [])
    assert same(SHIPPED.from_fhir(found, onto=record).record, record)


@law(record=SESSIONS, other=SESSIONS, seed=SEED)
def test_a_record_that_moves_on_reads_back_as_the_new_one_whatever_was_there(record: Record, other: Record, seed: int):
    """Written onto another session's resources under the same number, the result reads as the new record."""
    numbered_alike(record, other)
    after = SHIPPED.to_fhir(record, onto=decorated(resources(other), random.Random(seed), ids=False)).resources
    theirs = {("patient", "phone"), ("indication", "note")}  # the hospital's second one is read where the clinic says none
    read = SHIPPED.from_fhir(after).record
    was, now = (set(map(str, leaves(by_meaning(one, theirs)))) for one in (record, read))
    assert was ^ now == set()


def numbered_alike(record: Any, other: Any) -> None:
    """The same session, patient, series, stay, companion, follow-up, wherever both have one."""
    for name in record.keys() & other.keys():
        if name == "id":
            other[name] = record[name]
        elif isinstance(record[name], dict) and isinstance(other[name], dict):
            numbered_alike(record[name], other[name])


def by_meaning(record: Record, but: set[tuple[str, ...]]) -> Record:
    """The record without how times and numbers are spelt."""

    def meaning(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: meaning(inner, (*path, key)) for key, inner in value.items() if (*path, key) not in but}
        if isinstance(value, list):
            return [meaning(inner, path) for inner in value]
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Decimal(value).normalize()
        if (isinstance(value, str) and path[-1] in ("at", "start", "end", "created")) or str(path[-1:]).find("_at") > 0:
            return datetime.fromisoformat(value).astimezone(UTC)
        return value

    return dict(meaning(record, ()))


def test_what_the_record_does_not_say_any_more_is_handed_back_to_be_withdrawn():
    record = story(STORY)
    found = resources(record)
    less = {**record, "readings": record["readings"][1:]}
    after = SHIPPED.to_fhir(less, onto=found)
    gone = SHIPPED.from_fhir(after.retracted).record["readings"]
    assert [one["taken_at"] for one in gone] == [record["readings"][0]["taken_at"]]
    assert same(SHIPPED.from_fhir(after.resources).record, less)


def test_a_hospitals_words_survive_a_change_of_the_value_beside_them():
    record = story(STORY)
    found = two_way(resources(record))
    weight = next(one for one in found if one["resourceType"] == "Observation" and "29463-7" in str(one["code"]))
    weight["note"] = [{"text": "In shoes"}]
    weight["valueQuantity"]["extension"] = [{"url": "https://ehr.hospital.example/scale", "valueString": "B"}]
    for reading in record["readings"]:
        if "weight" in reading:
            reading["weight"] = 61
    after = next(one for one in SHIPPED.to_fhir(record, onto=found).resources if one["id"] == weight["id"])
    assert after["note"] == weight["note"]
    assert after["valueQuantity"]["value"] == 61


def kept(old: Any, new: Any) -> bool:
    """Is all of `old` in `new`, at its place? A field that the resource said in one place may have been completed in another."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and kept(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return isinstance(new, list) and len(old) <= len(new) and all(map(kept, old, new))
    return same(old, new)


def test_official_examples_keep_all_they_say_and_give_birth_to_no_others():
    """Nobody wrote them for us: what is understood of them is written back as it was, and nothing of the rest is lost."""
    read = {name: (one, SHIPPED.from_fhir([one]).record) for name, one in official_examples().items()}
    known = {name: pair for name, pair in read.items() if pair[1]}
    assert len(known) >= 20
    written = {name: SHIPPED.to_fhir(record, onto=[example]) for name, (example, record) in known.items()}
    assert [name for name, after in written.items() if len(after.resources) > 1 or after.retracted] == []
    assert [name for name, (example, _) in known.items() if not all(kept(example, one) for one in written[name].resources)] == []


def test_every_official_example_gives_a_record_or_says_why_not():
    examples = official_examples()
    assert len(examples) >= 60
    silent = [name for name, example in examples.items() if not (found := SHIPPED.from_fhir([example])).residue and not found.record]
    assert silent == []
