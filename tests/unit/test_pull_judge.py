"""Whether what a hospital shows is news: by the number of its version, by its time, and in doubt by asking again."""

from datetime import UTC, datetime

import pytest

from fhir_bridge.hospital.seen import Seen
from fhir_bridge.store.pulls import Known
from fhir_bridge.sync.pulling.judge import Standing, mark, standing

NEW, SAME, OLDER, DOUBT = Standing.NEW, Standing.SAME, Standing.OLDER, Standing.DOUBT
AT = datetime(2026, 3, 2, 14, tzinfo=UTC)


def seen(version: str, minute: int | None = None, *, gone: bool = False) -> Seen:
    updated = "" if minute is None else f"2026-03-02T14:{minute:02}:00Z"
    return Seen("Task", "a", version, updated, None if gone else {"resourceType": "Task", "id": "a", "status": "requested"})


def known(version: str, minute: int | None = None, *, gone: bool = False) -> Known:
    return Known(version, AT, None if minute is None else AT.replace(minute=minute), gone)


@pytest.mark.parametrize(
    ("shown", "before", "in_history", "as_current"),
    [
        (seen("3"), known("2"), NEW, NEW),
        (seen("10"), known("9"), NEW, NEW),
        (seen("2"), known("2"), SAME, SAME),
        (seen("1"), known("2"), OLDER, DOUBT),
        (seen("3", 5), known("2", 4), NEW, NEW),
        (seen("2", 5), known("2", 5), SAME, SAME),
        (seen("2", 9), known("2", 5), DOUBT, DOUBT),  # a version's number used again: restored, or asked once more
        (seen("2", 9), known("3", 5), DOUBT, DOUBT),  # later, and with a smaller number
        (seen("b", 5), known("a", 4), NEW, NEW),
        (seen("b", 3), known("a", 4), OLDER, DOUBT),
        (seen("b", 4), known("a", 4), DOUBT, NEW),
        (seen("b"), known("a"), DOUBT, NEW),
        (seen("1"), known(""), NEW, NEW),
        (seen("3", gone=True), known("2", 4), NEW, NEW),
        (seen("", gone=True), known("2", 4), DOUBT, NEW),
        (seen("", gone=True), known("3", gone=True), SAME, SAME),
        (seen("3", gone=True), known("", gone=True), SAME, SAME),
        (seen("4"), known("3", gone=True), NEW, NEW),
        (seen("2"), known("3", gone=True), OLDER, DOUBT),
    ],
)
def test_a_state_stands_to_what_is_known(shown: Seen, before: Known, in_history: Standing, as_current: Standing) -> None:
    assert standing(shown, [before], current=False) is in_history
    assert standing(shown, [before], current=True) is as_current


def test_of_two_links_of_one_resource_one_may_have_been_told_less() -> None:
    assert standing(seen("3"), [known("3"), known("2")], current=True) is SAME
    assert standing(seen("2"), [known("3"), known("2")], current=True) is DOUBT
    assert standing(seen("4"), [known("3"), known("2")], current=True) is NEW


def test_who_knows_neither_number_nor_time_has_no_opinion() -> None:
    assert standing(seen("x", 5), [known("y"), known("x", 5)], current=False) is SAME
    assert standing(seen("x", 5), [known("y"), known("w", 4)], current=False) is NEW


def test_without_versions_the_content_is_the_version_and_its_housekeeping_is_not_content() -> None:
    first = Seen("Task", "a", "", "", {"resourceType": "Task", "id": "a", "status": "requested", "meta": {"source": "#1"}})
    again = Seen("Task", "a", "", "", {"status": "requested", "resourceType": "Task", "id": "a"})
    other = Seen("Task", "a", "", "", {"resourceType": "Task", "id": "a", "status": "accepted"})
    assert mark(first) == mark(again) != mark(other)
    assert standing(again, [known(mark(first))], current=True) is SAME
    assert standing(other, [known(mark(first))], current=True) is NEW
