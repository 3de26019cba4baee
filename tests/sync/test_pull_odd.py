"""A document nobody foresaw keeps back itself, not the page it came with, and not the pull."""

from typing import Any

import pytest
from pulling import change, delivered, pulled, state
from test_pull_ways import hospital
from ward import Ward

from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.pulling import page

__all__ = ["hospital"]
ODD: list[dict[str, Any]] = [
    {"identifier": "a number"},
    {"identifier": [7], "extension": {"url": 1}},
    {"name": "Somebody", "telecom": None},
    {"name": [{"family": ["a", "b"], "given": {"x": 1}}], "birthDate": 1990},
    {"link": [{"other": "Patient/x", "type": "replaced-by"}]},
    {"contained": [[]], "address": [[[]]], "gender": {}},
    {"modifierExtension": 1, "implicitRules": [], "text": "x"},
    {"identifier": [{"system": 4, "value": {}}], "meta": {"versionId": 9, "lastUpdated": "tomorrow"}},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_whatever_a_hospital_shows_ends_as_a_value(bridge: Bridge, hospital: Ward, session: dict[str, Any], odd: dict[str, Any]) -> None:
    delivered(bridge, session)
    change(hospital, "Patient", **odd)
    found = pulled(bridge, "Patient")
    assert found.whole, found.notes
    assert found.counts["changed"] == 1


def test_one_that_cannot_be_applied_is_named_and_the_others_are_applied(
    bridge: Bridge, hospital: Ward, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(bridge, session)
    pulled(bridge)
    odd, fine = (change(hospital, "Observation", number=number, note=[{"text": "Looked at"}]) for number in (0, 1))
    apply_page = page.apply_page

    def failing(*args: Any, seen: Any, **named: Any) -> Any:
        if any(one.theirs == odd for one in seen):
            raise KeyError("a value that must not be told")
        return apply_page(*args, seen=seen, **named)

    with monkeypatch.context() as patched:
        patched.setattr(page, "apply_page", failing)
        found = pulled(bridge, "Observation")
    assert (found.whole, found.counts["not applied"] > 0, found.applied) == (True, True, {"decorated": 1})
    assert found.notes == (f"{odd} could not be applied (KeyError); it is tried again while it is in the window",)
    assert [state(bridge, each).version for each in (odd, fine)] == ["1", "2"]
    again = pulled(bridge, "Observation")
    assert (again.counts["changed"], state(bridge, odd).version) == (1, "2")


def test_when_many_cannot_be_applied_the_fault_is_ours_and_the_page_is_read_again(
    bridge: Bridge, hospital: Ward, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(bridge, session)
    pulled(bridge)
    changed = [change(hospital, "Observation", number=number, note=[{"text": "Looked at"}]) for number in range(page.FEW + 1)]

    def failing(*_: Any, **__: Any) -> Any:
        raise KeyError("a value that must not be told")

    with monkeypatch.context() as patched:
        patched.setattr(page, "apply_page", failing)
        found = pulled(bridge, "Observation")
    assert not found.whole
    assert "6 resources of one page could not be applied (KeyError)" in found.notes[-1]
    assert pulled(bridge, "Observation").counts["changed"] == len(changed)
