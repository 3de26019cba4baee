"""Each rule of the template language, on a Thing that no FHIR server knows."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from thing_mapping import HEAD, elements, load, thing, written

from fhir_bridge.errors import Refused
from fhir_bridge.mapping import Mapping

STATES = "source: none\ncodes:\n  open: O\n  paused: O\n  done: D\n  idle: ~\ndefault: {O: open}\nalso read: {F: done}\n"
KINDS = "source: none\ncodes:\n  open: K\n  paused: P\n  done: K\n  idle: I\ndefault: {K: open}\n"
UNITS = """kg: {unit: kg, reads: {"[lb_av]": {times: 0.45359237, places: 3}, g: {over: 1000, places: 3}}}
Cel: {unit: °C, reads: {"[degF]": {minus: 32, times: 5, over: 9, places: 2}}}
cm: {unit: cm, reads: {"[in_i]": {times: 2.54, places: 2}}}
"""
EACH_ROW = "parts:\n  - each: row in rows by key\n    code: {kind: part, key: <row.key>}\n    value: <row.value | number>"
UCUM = "http://unitsofmeasure.org"


def read(mapping: Mapping, **parts: Any) -> Any:
    """What a Thing with these elements says, under the id `T`."""
    ours = {"resourceType": "Thing", "identifier": [{"system": "https://clinic.example/id/thing", "value": "T"}]}
    return mapping.from_fhir([{**ours, **parts}], onto={})


def problems(found: Any) -> dict[str, str]:
    return {residue.path: residue.reason for residue in found.residue}


def test_a_constant_is_written_and_without_it_the_resource_is_not_this_one(tmp_path: Path):
    mapping = thing(tmp_path, "kind: dry\nname: <name>")
    assert elements(written(mapping, {"id": "T", "name": "x"})) == {"kind": "dry", "name": "x"}
    assert read(mapping, kind="dry", name="x").record == {"id": "T", "name": "x"}
    other = read(mapping, kind="wet", name="x")
    assert (other.record, problems(other)) == ({}, {"Thing": "kind is not 'dry'"})
    assert problems(read(mapping, name="x")) == {"Thing": "kind is missing"}


def test_display_text_and_unit_are_written_into_what_is_new_and_never_asked_for(tmp_path: Path):
    mapping = thing(tmp_path, "box: {code: B, display: Box, text: A box, unit: one, name: <name>}")
    assert elements(written(mapping, {"id": "T", "name": "x"}))["box"]["display"] == "Box"
    old = {**written(mapping, {"id": "T", "name": "x"}), "box": {"code": "B", "display": "Crate", "name": "x"}}
    assert read(mapping, box=old["box"]).record == {"id": "T", "name": "x"}
    assert written(mapping, {"id": "T", "name": "y"}, [old])["box"] == {"code": "B", "display": "Crate", "name": "y"}


def test_an_object_none_of_whose_fields_is_there_is_left_out_constants_do_not_count(tmp_path: Path):
    mapping = thing(tmp_path, "box: {code: B, inner: {name: <name>}}\nlist: [{code: L, value: <value>}]")
    assert elements(written(mapping, {"id": "T"})) == {}
    assert elements(written(mapping, {"id": "T", "value": "v"})) == {"list": [{"code": "L", "value": "v"}]}


def test_a_field_that_is_an_object_has_no_value_but_a_reason(tmp_path: Path):
    mapping = thing(tmp_path, "value: <value | number>\nwhy: <value.absent>")
    assert elements(written(mapping, {"id": "T", "value": {"absent": "broken"}})) == {"why": "broken"}
    assert read(mapping, why="broken").record == {"id": "T", "value": {"absent": "broken"}}
    both = read(mapping, value=3, why="broken")
    assert [str(conflict).partition(":")[0] for conflict in both.conflicts] == ["value.absent"]
    assert both.record == {"id": "T", "value": 3}


def test_what_several_words_share_is_narrowed_by_everything_that_speaks_of_it(tmp_path: Path):
    mapping = thing(tmp_path, "state: <state | code states>\nkind: <state | code kinds>", states=STATES, kinds=KINDS)
    for word in ("open", "paused", "done", "idle"):
        assert mapping.from_fhir([written(mapping, {"id": "T", "state": word})], onto={}).record["state"] == word
    assert read(mapping, state="O").record["state"] == "open"
    assert read(mapping, state="F").record["state"] == "done"


def test_nothing_left_of_the_candidates_is_a_conflict_that_names_both_speakers(tmp_path: Path):
    mapping = thing(tmp_path, "state: <state | code states>\nkind: <state | code kinds>", states=STATES, kinds=KINDS)
    found = read(mapping, state="D", kind="P")
    (conflict,) = found.conflicts
    assert (conflict.path, {one.where for one in conflict.said}) == ("state", {"thing.yaml:6", "thing.yaml:7"})


def test_an_old_word_among_the_candidates_stays(tmp_path: Path):
    mapping = thing(tmp_path, "state: <state | code states>\nkind: <state | code kinds>", states=STATES, kinds=KINDS)
    one = {"resourceType": "Thing", "identifier": [{"system": "https://clinic.example/id/thing", "value": "T"}], "state": "O"}
    assert mapping.from_fhir([one], onto={"id": "T", "state": "paused"}).record["state"] == "paused"


def test_an_unknown_word_going_out_is_refused_by_its_path_and_an_unknown_code_coming_in_is_left_over(tmp_path: Path):
    mapping = thing(tmp_path, "state: <state | code states>\nkind: <state | code kinds>", states=STATES, kinds=KINDS)
    with pytest.raises(Refused) as refused:
        mapping.to_fhir({"id": "T", "state": "secret-word"})
    assert {fault.path for fault in refused.value.faults} == {"state"}
    assert "secret-word" not in str(refused.value)
    found = read(mapping, state="Z")
    assert found.record == {"id": "T"}
    assert problems(found) == {"Thing.state": "is not a code of the table states; add it to codes/states.yaml"}


def test_an_old_value_stays_as_it_is_spelt_while_it_means_the_same(tmp_path: Path):
    mapping = thing(tmp_path, "at: <at | dateTime>\nvalue: <value | number>")
    old = {**written(mapping, {"id": "T", "at": "2026-03-02T09:00:00-05:00"}), "at": "2026-03-02T14:00:00.000Z", "value": Decimal("37.00")}
    after = written(mapping, {"id": "T", "at": "2026-03-02T09:00:00-05:00", "value": 37}, [old])
    assert (after["at"], str(after["value"])) == ("2026-03-02T14:00:00.000Z", "37.00")
    assert written(mapping, {"id": "T", "at": "2026-03-02T09:05:00-05:00"}, [old])["at"] == "2026-03-02T09:05:00-05:00"


def test_what_qualified_an_old_value_goes_with_it_and_what_was_not_understood_stays(tmp_path: Path):
    mapping = thing(tmp_path, "name: <name>\nother: <other>")
    old = {**written(mapping, {"id": "T", "name": "x", "other": "o"}), "_name": {"id": "n"}, "_other": {"id": "o"}, "theirs": [1]}
    after = elements(written(mapping, {"id": "T", "name": "y", "other": "o"}, [old]))
    assert after == {"name": "y", "other": "o", "_other": {"id": "o"}, "theirs": [1]}


def test_of_elements_that_tie_the_first_is_read_and_none_is_removed(tmp_path: Path):
    mapping = thing(tmp_path, "ways: [{kind: phone, value: <phone>}]")
    ways = [{"kind": "fax", "value": "0"}, {"kind": "phone", "value": "1"}, {"kind": "phone", "value": "2"}]
    assert read(mapping, ways=ways).record["phone"] == "1"
    old = {**written(mapping, {"id": "T", "phone": "1"}), "ways": ways}
    assert written(mapping, {"id": "T", "phone": "2"}, [old])["ways"] == ways
    assert written(mapping, {"id": "T", "phone": "3"}, [old])["ways"] == [ways[0], {"kind": "phone", "value": "3"}, ways[2]]


def test_each_inside_a_list_makes_one_element_for_each_row_and_drops_those_no_longer_said(tmp_path: Path):
    mapping = thing(
        tmp_path, "parts:\n  - each: row in rows by key\n    code: {kind: part, key: <row.key>}\n    value: <row.value | number>"
    )
    record = {"id": "T", "rows": [{"key": "a", "value": 1}, {"key": "b", "value": 2}]}
    made = written(mapping, record)
    assert [part["value"] for part in made["parts"]] == [1, 2]
    assert mapping.from_fhir([{**made, "parts": made["parts"][::-1]}]).record == record
    theirs = {"code": {"kind": "other"}, "value": 9}
    after = written(mapping, {"id": "T", "rows": record["rows"][1:]}, [{**made, "parts": [theirs, *made["parts"]]}])
    assert after["parts"] == [theirs, made["parts"][1]]


def two(folder: Path, more: str = "") -> Mapping:
    parcel = "when: <parcel>\nidentity: <id>/parcel\nresource:\n  resourceType: Parcel\n  of: <ref thing>\n  name: <parcel.name>\n"
    return load(folder, {"templates/thing": HEAD + "  name: <name>\n", "templates/parcel": parcel + more})


def test_a_reference_is_written_read_into_links_and_another_thing_s_parcel_is_refused(tmp_path: Path):
    mapping = two(tmp_path)
    parcel, made = mapping.to_fhir({"id": "T", "name": "x", "parcel": {"name": "p"}}).resources
    assert parcel["of"] == {"reference": f"Thing/{made['id']}"}
    assert mapping.from_fhir([parcel, made]).links["thing"] == [f"Thing/{made['id']}"]
    found = mapping.from_fhir([made, {**parcel, "of": {"reference": "Thing/other"}}])
    assert found.record == {"id": "T", "name": "x"}
    assert [str(one) for one in found.residue] == ["Parcel: refers to another thing than the rest of the record"]


def test_a_full_address_or_a_version_is_the_same_reference(tmp_path: Path):
    mapping = two(tmp_path)
    parcel, made = mapping.to_fhir({"id": "T", "parcel": {"name": "p"}}).resources
    parcel = {**parcel, "of": {"reference": f"https://hospital.example/fhir/Thing/{made['id']}/_history/3"}}
    assert mapping.from_fhir([parcel, made]).residue == []


def test_an_element_that_is_only_written_is_never_read_nor_touched_again(tmp_path: Path):
    mapping = load(tmp_path, {"templates/thing": HEAD + "  kind: dry\n  name: <name>\nto_fhir only:\n  kind: theirs to change\n"})
    made = written(mapping, {"id": "T", "name": "x"})
    assert made["kind"] == "dry"
    assert mapping.from_fhir([{**made, "kind": "wet"}]).record == {"id": "T", "name": "x"}
    assert written(mapping, {"id": "T", "name": "y"}, [{**made, "kind": "wet"}])["kind"] == "wet"


def test_a_template_that_is_only_written_is_not_read(tmp_path: Path):
    mapping = two(tmp_path, "to_fhir only: a copy for people\n")
    found = mapping.from_fhir(mapping.to_fhir({"id": "T", "name": "x", "parcel": {"name": "p"}}).resources)
    assert (found.record, found.residue) == ({"id": "T", "name": "x"}, [])


@pytest.mark.parametrize("modifier", ["modifierExtension", "implicitRules"])
def test_a_modifier_that_nobody_knows_is_not_understood_and_not_read(tmp_path: Path, modifier: str):
    found = read(thing(tmp_path, "name: <name>"), name="x", **{modifier: [{"url": "https://x.example"}]})
    assert found.record == {}
    assert problems(found) == {"Thing": f"{modifier} changes the meaning of what it stands in, and is not understood"}


def test_what_nothing_speaks_of_is_left_over_with_its_place_and_reason(tmp_path: Path):
    found = read(thing(tmp_path, "at: <at | dateTime>"), at="2026-03", theirs={"list": [1, "x"]})
    assert problems(found) == {
        "Thing.at": "is not a full date and time with its offset",
        "Thing.theirs.list[0]": "nothing speaks of it",
        "Thing.theirs.list[1]": "nothing speaks of it",
    }


@pytest.mark.parametrize(
    ("unit", "value", "code", "becomes"),
    [
        ("Cel", "98.6", "[degF]", "37"),
        ("Cel", "98.7", "[degF]", "37.06"),
        ("kg", "150", "[lb_av]", "68.039"),
        ("kg", "3405", "g", "3.405"),
        ("cm", "65", "[in_i]", "165.1"),
    ],
)
def test_other_units_are_converted_exactly_and_stay_as_they_were(tmp_path: Path, unit: str, value: str, code: str, becomes: str):
    mapping = thing(tmp_path, f"value: <value | quantity {unit}>", units=UNITS)
    theirs = {"value": Decimal(value), "unit": "as shown", "system": UCUM, "code": code}
    found = read(mapping, value=theirs).record
    assert str(found["value"]) == becomes
    old = {**written(mapping, {"id": "T", "value": 1}), "value": theirs}
    assert written(mapping, found, [old])["value"] == theirs


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ({"comparator": "<"}, "value.comparator changes the meaning"),
        ({"code": "[stone_av]"}, "is in a unit that is not read as kg"),
        ({"system": "https://units.example"}, "has no UCUM unit"),
        ({"value": "61"}, "is not a Quantity with a value"),
    ],
)
def test_a_quantity_that_is_not_understood_is_never_a_value(tmp_path: Path, theirs: dict[str, str], reason: str):
    found = read(thing(tmp_path, "value: <value | quantity kg>", units=UNITS), value={"value": 61, "system": UCUM, "code": "kg"} | theirs)
    assert found.record == {"id": "T"}
    assert all(reason in problem or "comparator" in problem for problem in problems(found).values())
    assert problems(found)


@pytest.mark.parametrize("name", ["a/b", "50%", "%2F", "a/b/c%", "ordinary"])
def test_fields_in_one_text_are_taken_apart_again_whatever_they_hold(tmp_path: Path, name: str):
    mapping = thing(tmp_path, "label: <name>/<at | dateTime>/<rest>")
    record = {"id": name, "name": name, "at": "2026-03-02T09:00:00-05:00", "rest": name}
    assert mapping.from_fhir([written(mapping, record)]).record == record


def test_a_record_without_what_identifies_its_resource_is_refused_by_field(tmp_path: Path):
    mapping = load(tmp_path, {"templates/thing": HEAD.replace("when: <id>", "when: <name>") + "  name: <name>\n"})
    with pytest.raises(Refused) as refused:
        mapping.to_fhir({"name": "x"})
    assert [str(fault) for fault in refused.value.faults] == ["id: is missing, and identifies the Thing made of it"]
    stranger = {"resourceType": "Thing", "name": "x", "id": "theirs"}
    assert mapping.to_fhir({"name": "y"}, onto=[stranger]).resources == [{"resourceType": "Thing", "name": "y", "id": "theirs"}]
