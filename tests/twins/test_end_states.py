"""The scenarios against the four hospitals: each ends as it is written down in `fixtures/expected`, and nothing of a record is lost."""

import json
from collections import Counter
from collections.abc import Callable

import pytest
from twins_rig import FIXTURES, Doc, Rig, by_type, sessions

from fhir_bridge.sandbox.profile import NAMES

CASES = [*sorted(path.name for path in (FIXTURES / "cases").iterdir() if path.is_dir()), "multi-day-series (inpatient)"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_a_case_ends_as_it_is_written_down(rig: Callable[..., Rig], name: str, case: str) -> None:
    found = ends(rig(name), case)
    expected = json.loads((FIXTURES / "expected" / name / f"{case}.json").read_text())
    assert found == expected


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


def ends(here: Rig, case: str) -> Doc:
    """How each session of the case stands when all were delivered, a day apart, and what the hospital holds then."""
    told = sessions(case)
    for _, session in told:
        here.deliver(session)
        here.clock.pass_(days=1)
    found = {stem: _end(here.state(session)) for stem, session in told}
    return {"sessions": found, "held": dict(sorted(here.held().items()))}


def _end(delivery: Doc) -> Doc:
    """What is worth writing down of a delivery: empty parts are left away."""
    lost = [(sent["ours"].partition("/")[0], sent["kept"]) for sent in delivery["resources"] if sent["kept"]]
    end = {
        "state": delivery["state"],
        "folded": by_type(delivery.get("folded", ())),
        "left": by_type(delivery.get("work", ())),
        "waiting": by_type(delivery.get("waiting", ())),
        "dropped": sorted({path for _, kept in lost for path in kept.get("dropped", ())}),
        "changed": sorted({path for _, kept in lost for path in kept.get("changed", ())}),
    }
    return {name: part for name, part in end.items() if part}


def _normal(session: Doc) -> Doc:
    from fhir_bridge.clinic import records

    return records.load("session", session)
