"""The scenarios against the four hospitals: each ends as it is written down in `fixtures/expected`, and nothing of a record is lost."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from twins_rig import FIXTURES, Doc, Rig, sessions

from fhir_bridge.sandbox.profile import NAMES

EXPECTED = FIXTURES / "expected"
CASES = [*sorted(path.name for path in (FIXTURES / "cases").iterdir() if path.is_dir()), "multi-day-series (inpatient)"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_a_case_ends_as_it_is_written_down(rig: Callable[..., Rig], name: str, case: str) -> None:
    here, told, written = rig(name), [session for _, session in sessions(case)], expected(name, case)
    for session in told:
        here.deliver(session)
        here.clock.pass_(days=1)
    found = [here.state(session) for session in told]
    ours = {sent["ours"] for delivery in found for sent in delivery["resources"]}
    assert {delivery["state"] for delivery in found} == {"delivered"}
    assert here.held() == by_kind(ours) == written.arrives
    assert by_kind(_keys(found, "folded") - ours) == written.folded
    assert by_kind(_keys(found, "work") - ours) == written.left
    assert _keys(found, "waiting") == set()
    assert _paths(found, "dropped") == written.dropped
    assert _paths(found, "changed") == set()
    for one in (each for delivery in found for way in ("folded", "work") for each in delivery.get(way, ())):
        assert one["reason"].startswith(written.reasons[one["key"].partition("/")[0]]), one


@dataclass(frozen=True)
class End:
    """Where a case ends at a hospital, as it is written down: resources counted by type, and by type why they do not arrive."""

    arrives: Counter[str]
    folded: Counter[str]
    left: Counter[str]
    dropped: set[str]
    reasons: dict[str, tuple[str, ...]]


def expected(name: str, case: str) -> End:
    """`case` at `name`, put together from the case's file and the hospital's part of `hospitals.json`."""
    hospital = json.loads((EXPECTED / "hospitals.json").read_text())[name]
    written = json.loads((EXPECTED / f"{case}.json").read_text())
    becomes = Counter(written["becomes"])
    if "left" in hospital:
        return End(Counter(), Counter(), becomes, set(), dict.fromkeys(becomes, tuple(hospital["left"])))
    folded = Counter({kind: becomes[kind] for kind in hospital.get("folded", ()) if kind in becomes})
    folded += Counter({kind: sum(some.values()) for kind, some in written.get(name, {}).items()})
    reasons = {kind: (why,) for kind, why in hospital.get("folded", {}).items()}
    reasons |= {kind: tuple(whys) for kind, whys in hospital.get("partly", {}).items()}
    return End(becomes - folded, folded, Counter(), set(hospital.get("dropped", ())), reasons)


def by_kind(keys: set[str]) -> Counter[str]:
    return Counter(key.partition("/")[0] for key in keys)


def _keys(found: list[Doc], way: str) -> set[str]:
    """Our keys of what went this way in any of the deliveries."""
    return {one["key"] for delivery in found for one in delivery.get(way, ())}


def _paths(found: list[Doc], what: str) -> set[str]:
    return {path for delivery in found for sent in delivery["resources"] if sent["kept"] for path in sent["kept"].get(what, ())}


@pytest.mark.parametrize("name", ["epic", "oracle"])
def test_a_record_that_was_wrong_from_the_start_and_never_sent_leaves_no_trace_there(rig: Callable[..., Rig], name: str) -> None:
    wrong = json.loads((FIXTURES / "cases/monitored-clinic-visit/session-3-entered-in-error.json").read_text())
    here = rig(name)
    assert here.deliver(wrong)["state"] == "delivered"
    assert here.held() == Counter()


@pytest.mark.parametrize("name", NAMES)
def test_everything_of_a_record_is_held_folded_left_or_waiting(rig: Callable[..., Rig], name: str, visit: Doc) -> None:
    here = rig(name)
    delivery = here.deliver(visit)
    written = here.bridge.sites["default"].mapping.to_fhir(_normal(visit)).resources
    ours = {f"{one['resourceType']}/{one['id']}" for one in written}
    ways = Counter(one["key"] for way in ("folded", "work", "waiting") for one in delivery.get(way, ()))
    ways.update(sent["ours"] for sent in delivery["resources"])
    assert {key: ways[key] for key in ours} == dict.fromkeys(ours, 1)
    assert all(key.startswith("DocumentReference/") for key in ways.keys() - ours)


@pytest.mark.parametrize("name", NAMES)
def test_a_correction_of_no_value_writes_only_that_it_was_corrected(rig: Callable[..., Rig], name: str, visit: Doc) -> None:
    here = rig(name)
    here.deliver(visit)
    before = len(here.chart.log)
    again = visit | {"version": 2, "correction": {"reason": "sent again", "at": "2026-03-03T08:00:00-05:00"}}
    here.clock.pass_(minutes=1)
    here.deliver(again)
    changed = {version.type for version in here.chart.log[before:]}
    assert changed <= {"Encounter", "DocumentReference", "Provenance"}  # where it is said


def _normal(session: Doc) -> Doc:
    from fhir_bridge.clinic import records

    return records.load("session", session)
