"""The plan for four hospitals, and the laws every plan obeys."""

import json
import random
from base64 import b64decode
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.hospital import words
from fhir_bridge.hospital.capabilities import Capabilities, SiteFile, read
from fhir_bridge.hospital.graph import references
from fhir_bridge.hospital.plan import Link, Plan, plan
from fhir_bridge.hospital.small_print import SMALL_PRINT, transitions
from fhir_bridge.hospital.wire import call_of, halves

STATEMENTS = Path(__file__).parents[2] / "fixtures" / "hospitals" / "statements"
PLACES = {"location": "Location/L1", "performer": "Practitioner/P1", "slot": "Slot/S1"}
Resource = dict[str, Any]


def hospital(name: str, **site: Any) -> Capabilities:
    return read(json.loads((STATEMENTS / f"{name}.json").read_text()), site=SiteFile(**site))


def one(kind: str, word: str, **elements: Any) -> Resource:
    """A resource with an id and identifier made of `word`; a text that starts with @ is a reference."""
    found: Resource = {"resourceType": kind, "id": uid(kind, word), "identifier": [{"system": "https://clinic.example/id", "value": word}]}
    return found | {name: made(value) for name, value in elements.items()}


def made(value: Any) -> Any:
    if isinstance(value, list):
        return [made(each) for each in value]
    if isinstance(value, dict):
        return {name: made(each) for name, each in value.items()}
    return {"reference": key(*value[1:].split("/"))} if isinstance(value, str) and value.startswith("@") else value


def uid(kind: str, word: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{kind}/{word}"))


def key(kind: str, word: str) -> str:
    return f"{kind}/{uid(kind, word)}"


def session(status: str = "finished") -> list[Resource]:
    vital = {"category": [{"text": "vital-signs"}], "subject": "@Patient/p", "encounter": "@Encounter/e", "status": "final"}
    when = "2026-03-02T09:00:00-05:00"
    pulse = {"code": {"coding": [{"code": "8867-4"}]}, "effectiveDateTime": when, "valueQuantity": {"value": 72, "unit": "/min"}}
    refused = {"code": {"coding": [{"code": "8310-5"}]}, "effectiveDateTime": when, "dataAbsentReason": {"text": "asked-declined"}}
    return [
        one("MedicationAdministration", "m", status="completed", subject="@Patient/p", context="@Encounter/e", partOf=["@Procedure/i"]),
        one("Observation", "hr", **vital, **pulse),
        one("Observation", "t", **vital, **refused),
        one("Procedure", "i", status="completed", subject="@Patient/p", encounter="@Encounter/e"),
        one("Condition", "c", subject="@Patient/p", encounter="@Encounter/e"),
        one("Encounter", "e", status=status, type=[{"text": "x"}], subject="@Patient/p", diagnosis=[{"condition": "@Condition/c"}])
        | {"class": {"code": "AMB"}},
        one("Appointment", "a", status="booked", participant=[{"actor": "@Patient/p", "type": [{"text": "x"}], "status": "accepted"}]),
        one("Patient", "p", gender="female"),
    ]


def sent_keys(planned: Plan) -> list[str]:
    return [key for step in planned.steps for key in step.keys]


def write_of(planned: Plan, wanted: str) -> Any:
    return next(write for step in planned.steps for write in step.writes if write.key == wanted)


def test_hapi_takes_the_session_in_one_transaction_by_our_ids() -> None:
    planned = plan(hospital("hapi"), session(), {})
    assert [step.rung for step in planned.steps] == ["transaction"]
    assert {write.verb for write in planned.steps[0].writes} == {"put"}
    bundle = call_of(planned.steps[0], {}).body
    assert bundle["type"] == "transaction"
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT"] * 8
    assert all(entry["request"]["url"] == f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle["entry"])


def test_hapi_keeps_references_that_run_in_a_ring() -> None:
    planned = plan(hospital("hapi"), session(), {})
    assert write_of(planned, key("Encounter", "e")).resource["diagnosis"]
    assert write_of(planned, key("Condition", "c")).resource["encounter"]


def test_epic_gets_no_bundle_no_condition_and_no_encounter() -> None:
    planned = plan(hospital("epic"), session(), {})
    assert {step.rung for step in planned.steps} == {"single"}
    assert {write.verb for step in planned.steps for write in step.writes} == {"look-then-create"}
    assert key("Encounter", "e") in {each.key for each in planned.folded}
    assert key("MedicationAdministration", "m") in {each.key for each in planned.folded}
    said = "\n".join(words.lines(planned))
    for word in ("transaction", "If-None-Exist", "POST Encounter", "PUT Encounter"):
        assert word not in said
    assert "DocumentReference" in said


def test_epic_is_told_which_flowsheet_rows_it_needs() -> None:
    assert any("8867-4" in line and "59188" in line for line in plan(hospital("epic"), session(), {}).setup)


def test_what_is_folded_is_read_in_the_summary() -> None:
    planned = plan(hospital("epic"), session(), {})
    document = write_of(planned, planned.folded[0].into).resource
    text = b64decode(document["content"][-1]["attachment"]["data"]).decode()
    assert "MedicationAdministration" in text
    assert "status: finished" in text


def test_the_records_own_summary_takes_what_is_folded() -> None:
    own = one("DocumentReference", "d", status="current", subject="@Patient/p", content=[{"attachment": {"title": "Session"}}])
    planned = plan(hospital("epic"), [*session(), own], {})
    assert {each.into for each in planned.folded} == {key("DocumentReference", "d")}
    assert len(write_of(planned, key("DocumentReference", "d")).resource["content"]) == 2


def test_nothing_can_be_sent_to_a_hospital_that_only_reads() -> None:
    planned = plan(hospital("athena"), session(), {})
    assert planned.steps == ()
    assert len(planned.work) == 8


def test_oracle_is_sent_a_batch_wave_by_wave() -> None:
    planned = plan(hospital("oracle", references=PLACES), session(), {})
    assert sent_keys(planned)[0] == key("Patient", "p")
    assert "batch" in {step.rung for step in planned.steps}


def test_oracles_encounter_is_sent_without_class_and_with_the_hospitals_place() -> None:
    encounter = write_of(plan(hospital("oracle", references=PLACES), session(), {}), key("Encounter", "e")).resource
    assert "class" not in encounter
    assert encounter["location"] == [{"location": {"reference": "Location/L1"}}]
    assert "serviceProvider" not in encounter


@pytest.mark.parametrize("status", ["planned", "arrived", "in-progress"])
def test_oracles_encounter_waits_until_it_is_finished_and_so_does_what_refers_to_it(status: str) -> None:
    waiting = {each.key for each in plan(hospital("oracle", references=PLACES), session(status), {}).waiting}
    assert {key("Encounter", "e"), key("Observation", "hr"), key("Procedure", "i")} <= waiting
    assert key("Appointment", "a") not in waiting


def test_oracles_cancelled_encounter_is_a_persons() -> None:
    assert key("Encounter", "e") in {each.key for each in plan(hospital("oracle", references=PLACES), session("cancelled"), {}).work}


def test_oracles_observation_has_a_performer_and_no_identifier() -> None:
    observation = write_of(plan(hospital("oracle", references=PLACES), session(), {}), key("Observation", "hr")).resource
    assert "identifier" not in observation
    assert observation["performer"] == [{"reference": "Practitioner/P1"}]


def test_oracle_takes_no_observation_without_a_quantity() -> None:
    folded = {each.key for each in plan(hospital("oracle", references=PLACES), session(), {}).folded}
    assert key("Observation", "t") in folded


def test_oracle_says_what_the_site_file_lacks() -> None:
    setup = " ".join(plan(hospital("oracle"), session(), {}).setup)
    assert "references.performer" in setup
    assert "references.location" in setup
    assert "references.slot" in setup


def test_oracles_booked_appointment_has_one_slot_and_the_patient_without_type() -> None:
    appointment = write_of(plan(hospital("oracle", references=PLACES), session(), {}), key("Appointment", "a")).resource
    assert appointment["slot"] == [{"reference": "Slot/S1"}]
    assert [set(each) for each in appointment["participant"]] == [{"actor", "status"}]


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ("proposed", "booked", ("booked",)),
        ("booked", "fulfilled", ("checked-in", "fulfilled")),
        ("arrived", "fulfilled", ("fulfilled",)),
        ("booked", "cancelled", ("cancelled",)),
        ("booked", "noshow", None),
        ("fulfilled", "cancelled", None),
        ("cancelled", "booked", None),
    ],
)
def test_oracles_appointment_moves_by_allowed_steps(old: str, new: str, way: tuple[str, ...] | None) -> None:
    assert transitions(old, new) == way


def test_what_epic_has_no_flowsheet_row_for_is_folded_when_the_site_file_says_which_rows_there_are() -> None:
    planned = plan(hospital("epic", observation_codes=frozenset({"8867-4"})), session(), {})
    assert not any("flowsheet" in each for each in planned.setup)
    assert key("Observation", "hr") in {key for step in planned.steps for key in step.keys}
    assert key("Observation", "t") in {one.key for one in planned.folded}


def test_what_the_hospital_added_of_its_own_is_not_patched_back() -> None:
    old = session()[6]
    shown = old | {"slot": [{"reference": "Slot/S1"}]}
    link = Link("A9", "1", 'W/"1"', shown, old)
    planned = plan(hospital("oracle"), [shown, session()[7]], {key("Appointment", "a"): link, key("Patient", "p"): Link("P9")})
    assert (planned.steps, planned.work) == ((), ())
    assert key("Appointment", "a") in {one.key for one in planned.unchanged}


def test_an_oracle_appointment_that_skips_a_status_is_patched_step_by_step() -> None:
    old = session()[6]
    new = old | {"status": "fulfilled"}
    link = Link("A9", "1", 'W/"1"', old, old)
    planned = plan(hospital("oracle"), [new, session()[7]], {key("Appointment", "a"): link, key("Patient", "p"): Link("P9")})
    patches = [write for step in planned.steps for write in step.writes]
    assert [write.patch[0]["value"] for write in patches] == ["checked-in", "fulfilled"]
    assert [write.read_first for write in patches] == [False, True]
    assert [write.ours["status"] for write in patches] == ["checked-in", "fulfilled"]
    call = call_of(planned.steps[0], {})
    assert (call.method, call.path, call.headers["If-Match"]) == ("PATCH", "Appointment/A9", 'W/"1"')


def test_a_missed_oracle_appointment_is_a_persons() -> None:
    old = session()[6]
    planned = plan(hospital("oracle"), [old | {"status": "noshow"}], {key("Appointment", "a"): Link("A9", sent=old)})
    assert [each.key for each in planned.work] == [key("Appointment", "a")]


def test_an_oracle_encounter_changed_where_no_patch_goes_is_a_persons() -> None:
    old = session()[5]
    links = {key("Encounter", "e"): Link("E9", sent=old), key("Patient", "p"): Link("P9"), key("Condition", "c"): Link("C9")}
    planned = plan(hospital("oracle"), [old | {"status": "entered-in-error"}], links)
    assert "status" in planned.work[0].reason
    had = old | {"period": {"start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T11:00:00-05:00"}}
    links[key("Encounter", "e")] = Link("E9", sent=had)
    moved = plan(hospital("oracle"), [old | {"period": had["period"] | {"end": "2026-03-02T12:00:00-05:00"}}], links)
    assert [each["path"] for each in write_of(moved, key("Encounter", "e")).patch] == ["/period/end"]


def test_an_update_carries_if_match_and_the_hospitals_ids() -> None:
    links = {key("Observation", "hr"): Link("77", "3", 'W/"3"'), key("Patient", "p"): Link("55"), key("Encounter", "e"): Link("66")}
    planned = plan(hospital("epic"), [session()[1], session()[7]], links)
    call = call_of(planned.steps[0], {ours: f"{ours.split('/')[0]}/{link.id}" for ours, link in links.items()})
    assert (call.method, call.path, call.headers["If-Match"], call.body["id"]) == ("PUT", "Observation/77", 'W/"3"', "77")
    assert call.body["subject"] == {"reference": "Patient/55"}


def test_an_update_without_a_known_version_is_read_first() -> None:
    planned = plan(hospital("epic"), [session()[1]], {key("Observation", "hr"): Link("77"), key("Patient", "p"): Link("55")})
    assert planned.steps[0].writes[0].read_first
    assert call_of(planned.steps[0], {}, etags={key("Observation", "hr"): 'W/"8"'}).headers["If-Match"] == 'W/"8"'


def test_what_did_not_change_is_not_sent_again() -> None:
    links = {key(each["resourceType"], each["identifier"][0]["value"]): Link("x", sent=each) for each in session()}
    planned = plan(hospital("hapi"), session(), links)
    assert planned.steps == ()
    assert len(planned.unchanged) == 8


def test_what_was_sent_is_remembered_as_it_was_handed_in() -> None:
    write = write_of(plan(hospital("oracle", references=PLACES), session(), {}), key("Observation", "hr"))
    assert write.ours == session()[1]
    assert write.ours != write.resource


def test_a_patient_with_a_hospital_number_is_matched_and_never_made_twice() -> None:
    patient = one("Patient", "p")
    patient["identifier"].append({"system": "urn:mrn", "value": "M1"})
    planned = plan(hospital("hapi", patient_system="urn:mrn"), [*session()[:-1], patient], {})
    assert planned.steps[0].writes[0].verb == "look-then-create"
    assert [step.rung for step in planned.steps] == ["single", "transaction"]


def test_the_hospitals_own_patient_is_not_overwritten() -> None:
    planned = plan(hospital("hapi"), [one("Patient", "p", gender="male")], {key("Patient", "p"): Link("1000", "1", 'W/"1"')})
    assert planned.steps == ()


@pytest.mark.parametrize("name", ["epic", "oracle"])
def test_of_a_record_that_was_wrong_from_the_start_and_never_sent_nothing_goes(name: str) -> None:
    wrong = [each | {"status": "entered-in-error"} for each in session() if each["resourceType"] not in ("Patient", "Condition")]
    wrong += [one("AdverseEvent", "x", subject="@Patient/p"), one("Patient", "p", gender="female")]
    wrong += [one("DocumentReference", "d", status="entered-in-error", subject="@Patient/p", content=[{"attachment": {}}])]
    planned = plan(hospital(name), wrong, {})
    assert (planned.steps, planned.folded, planned.work, planned.waiting) == ((), (), (), ())
    assert {each.key for each in planned.unchanged} == {f"{each['resourceType']}/{each['id']}" for each in wrong}


def test_a_retraction_says_entered_in_error_where_it_can_and_deletes_where_it_cannot() -> None:
    observation, event = session()[1], one("AdverseEvent", "ae", subject="@Patient/p")
    links = {key("Observation", "hr"): Link("77", "1", 'W/"1"'), key("AdverseEvent", "ae"): Link("88", "1", 'W/"1"')}
    planned = plan(hospital("hapi"), [], links, retracted=[observation, event])
    assert write_of(planned, key("Observation", "hr")).resource["status"] == "entered-in-error"
    assert call_of(next(step for step in planned.steps if step.writes[0].verb == "delete"), {}).path == "AdverseEvent/88"


def test_a_retraction_the_server_cannot_take_is_a_persons() -> None:
    event = one("AdverseEvent", "ae", subject="@Patient/p")
    planned = plan(hospital("epic"), [], {key("AdverseEvent", "ae"): Link("88")}, retracted=[event])
    assert [each.key for each in planned.work] == [key("AdverseEvent", "ae")]


def test_what_was_retracted_before_it_was_sent_needs_nothing() -> None:
    planned = plan(hospital("hapi"), [], {}, retracted=[session()[1]])
    assert planned.steps == ()
    assert len(planned.unchanged) == 1


def test_conditional_creates_are_used_where_ids_of_ours_are_not_taken() -> None:
    planned = plan(hospital("hapi", deny=frozenset({"*.updateCreate"})), session(), {})
    assert {write.verb for step in planned.steps for write in step.writes} == {"create-if-none"}
    entry = call_of(planned.steps[0], {}).body["entry"]
    assert entry[0]["request"]["ifNoneExist"] == "identifier=https%3A%2F%2Fclinic.example%2Fid%7Cp"
    assert entry[-1]["resource"]["subject"]["reference"] == f"urn:uuid:{uid('Patient', 'p')}"
    assert all("id" not in each["resource"] for each in entry)


def test_conditional_updates_are_the_next_rung() -> None:
    site = frozenset({"*.updateCreate", "*.conditionalCreate"})
    planned = plan(hospital("hapi", deny=site), session(), {})
    assert {write.verb for step in planned.steps for write in step.writes} == {"put-if-one"}


def test_without_transaction_hapi_gets_singles_and_rings_are_cut_where_the_first_cannot_point() -> None:
    planned = plan(hospital("hapi", deny=frozenset({"system.transaction"})), session(), {})
    assert {step.rung for step in planned.steps} == {"single"}
    assert write_of(planned, key("Encounter", "e")).left_out == ("Encounter.diagnosis.condition",)
    assert write_of(planned, key("Condition", "c")).resource["encounter"]


def test_a_long_session_is_split_by_entries_and_by_bytes() -> None:
    many = [*session(), *(one("Observation", f"x{n}", status="final", subject="@Patient/p") for n in range(120))]
    by_count = plan(hospital("hapi", entries_per_call=50), many, {})
    assert [len(step.writes) for step in by_count.steps] == [50, 50, 28]
    by_size = plan(hospital("hapi", bytes_per_call=20_000), many, {})
    assert len(by_size.steps) > 2


def test_one_identity_is_one_entry_and_the_last_stands() -> None:
    planned = plan(hospital("hapi"), [one("Patient", "p", gender="male"), one("Patient", "p", gender="female")], {})
    assert len(sent_keys(planned)) == 1
    assert write_of(planned, key("Patient", "p")).resource["gender"] == "female"


def test_a_step_is_halved_in_its_order_down_to_one() -> None:
    step = plan(hospital("hapi"), session(), {}).steps[0]
    first, second = halves(step)
    assert first.keys + second.keys == step.keys
    single = halves(halves(first)[0])[0]
    assert (single.rung, halves(single)) == ("single", (single,))


def test_every_rule_of_the_small_print_names_its_source() -> None:
    assert all(rule.source and rule.name for rules in SMALL_PRINT.values() for rule in rules)


def test_the_words_hold_no_value_of_the_patient() -> None:
    record = [each | {"note": [{"text": "Canary McSecret"}]} for each in session()]
    for name in ("hapi", "epic", "oracle", "athena"):
        planned = plan(hospital(name), record, {})
        assert "Canary" not in json.dumps(words.data(planned)) + "".join(words.lines(planned))


names = st.sampled_from(["hapi", "epic", "oracle", "athena"])
abilities = ["system.transaction", "system.batch", "*.updateCreate", "*.conditionalCreate", "Patient.create", "Encounter.*", "Condition.*"]
denied = st.sets(st.sampled_from(abilities))


@given(names, denied, st.integers(0, 2**16), st.sampled_from(["finished", "in-progress", "cancelled"]), st.booleans())
def test_every_resource_is_once_in_every_plan_and_nothing_points_forward(
    name: str, deny: set[str], seed: int, status: str, placed: bool
) -> None:
    record = session(status)
    capabilities = hospital(name, deny=frozenset(deny), references=PLACES if placed else {}, entries_per_call=3)
    planned = plan(capabilities, record, {})
    elsewhere = [each.key for part in (planned.folded, planned.work, planned.waiting, planned.unchanged) for each in part]
    ours = sorted(key(each["resourceType"], each["identifier"][0]["value"]) for each in record)
    made_ = [each for each in sent_keys(planned) if each not in ours]
    assert sorted([*sent_keys(planned), *elsewhere]) == sorted([*ours, *made_])
    assert len(made_) <= 1  # the summary
    there: set[str] = set()
    for step in planned.steps:
        together = set(step.keys) if step.rung == "transaction" else set()
        for write in step.writes:
            assert set(references(write.resource)) & {*ours, *made_} <= there | together
        there |= set(step.keys)
    shuffled = random.Random(seed).sample(record, len(record))
    assert words.data(plan(capabilities, shuffled, {})) == words.data(planned)
