"""The sandbox's search, where a real server is not needed to say what is right: spans of dates, tokens, quantities, patches."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_bridge.sandbox import dates, match, parameters
from fhir_bridge.sandbox.outcome import Rejected
from fhir_bridge.sandbox.patch import patched


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-02T09:00:00-05:00", datetime(2026, 3, 2, 14, tzinfo=UTC), datetime(2026, 3, 2, 14, 0, 1, tzinfo=UTC)),
        ("2026-03-02T09:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 9, 1, tzinfo=UTC)),
    ],
)
def test_a_date_covers_the_time_it_names(text: str, low: datetime, high: datetime):
    assert dates.parse(text) == dates.Span(low, high)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13", "2026-02-30", "2026-03-02T25:00:00Z", "2026-3-2"])
def test_what_is_no_date_covers_nothing(text: str):
    assert dates.parse(text) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("2026-03-02", True), ("ge2026-03-03", False), ("lt2026-03-02", False), ("ge2026-03-02T15:30:00Z", True), ("sa2026-03-01", True)],
)
def test_a_period_answers_by_what_it_covers(wanted: str, found: bool):
    assert match.date({"start": "2026-03-02T14:00:00Z", "end": "2026-03-02T16:00:00Z"}, wanted, "") is found


def test_a_period_without_end_goes_on():
    assert match.date({"start": "2026-03-02T14:00:00Z"}, "ge2030-01-01", "")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("P-1", True),
        ("https://clinic.example|P-1", True),
        ("https://clinic.example|", True),
        ("|P-1", False),
        ("https://other.example|P-1", False),
    ],
)
def test_a_token_is_a_system_and_a_code_or_one_of_them(wanted: str, found: bool):
    assert match.token({"system": "https://clinic.example", "value": "P-1"}, wanted, "") is found


def test_separators_after_a_backslash_are_part_of_the_value():
    assert match.split(r"a\,b,c", ",") == [r"a\,b", "c"]
    assert match.token({"value": "a|b"}, r"a\|b", "")
    assert match.token({"value": "a,b"}, r"a\,b", "")


@pytest.mark.parametrize(("wanted", "found"), [("gt70", True), ("lt70", False), ("72", True), ("72||/min", True), ("72||kg", False)])
def test_a_quantity_is_compared_by_number_and_unit(wanted: str, found: bool):
    assert match.quantity({"value": 72, "code": "/min"}, wanted, "") is found


@pytest.mark.parametrize(
    ("wanted", "modifier", "found"), [("inv", "", True), ("vent", "", False), ("vent", "contains", True), ("inv", "exact", False)]
)
def test_a_name_is_found_by_its_beginning(wanted: str, modifier: str, found: bool):
    assert match.string({"family": "Invented", "given": ["Ada"]}, wanted, modifier) is found


def test_a_path_reaches_into_lists_and_choices():
    document = {"component": [{"code": 1}, {"code": 2}], "effectivePeriod": {"start": "2026"}, "effect": "no"}
    assert list(parameters.values(document, "component.code")) == [1, 2]
    assert list(parameters.values(document, "effective[x]")) == [{"start": "2026"}]


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/b/-", "value": 3}, {"a": 1, "b": [1, 2, 3]}),
        ({"op": "add", "path": "/b/0", "value": 0}, {"a": 1, "b": [0, 1, 2]}),
        ({"op": "remove", "path": "/a"}, {"b": [1, 2]}),
        ({"op": "replace", "path": "/b/1", "value": 5}, {"a": 1, "b": [1, 5]}),
        ({"op": "move", "from": "/a", "path": "/c"}, {"b": [1, 2], "c": 1}),
        ({"op": "copy", "from": "/a", "path": "/c"}, {"a": 1, "b": [1, 2], "c": 1}),
        ({"op": "test", "path": "/b/0", "value": 1}, {"a": 1, "b": [1, 2]}),
    ],
)
def test_a_json_patch_does_what_it_says(operation: dict[str, Any], result: Any):
    document = {"a": 1, "b": [1, 2]}
    assert patched(document, [operation]) == result
    assert document == {"a": 1, "b": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/c"},
        {"op": "add", "path": "/b/9", "value": 1},
        {"op": "spin", "path": "/a"},
        {"path": "/a"},
        {"op": "remove", "path": "a"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operation: dict[str, Any]):
    with pytest.raises(Rejected, match="HAPI-1272"):
        patched({"a": 1, "b": [1, 2]}, [operation])
