"""Times are compared by what they say, and only as far as they say it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_bridge.fhir import times


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("2026-03-02T09:00:00-05:00", "2026-03-02T14:00:00Z"),
        ("2026-03-02T09:00:00Z", "2026-03-02T09:00:00.000+00:00"),
        ("2026-03-02T09:00:00.120Z", "2026-03-02T09:00:00.12Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2026-03", "2026-03"),
    ],
)
def test_one_instant_may_be_spelt_in_many_ways(a: str, b: str) -> None:
    assert times.same_instant(a, b)
    assert not times.is_after(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("2026-03-02T09:00:00.1200000001Z", "2026-03-02T09:00:00.12Z"),
        ("2026-03-02", "2026-03-02T00:00:00Z"),
        ("2026", "2026-01"),
        ("not a time", "not a time"),
        ("0001-01-01T00:00:00+14:00", "nothing"),
    ],
)
def test_what_says_more_or_else_is_not_the_same(a: str, b: str) -> None:
    assert not times.same_instant(a, b)


@pytest.mark.parametrize(
    ("a", "b", "later"),
    [
        ("2026-03-03", "2026-03-02T23:00:00Z", True),
        ("2026-03", "2026-03-31", False),
        ("2026-04", "2026-03-31", True),
        ("2026-03-02T10:00:00+02:00", "2026-03-02T09:00:00Z", False),
        ("2026-02-30", "2025", False),
    ],
)
def test_later_means_certainly_later(a: str, b: str, *, later: bool) -> None:
    assert times.is_after(a, b) is later


@pytest.mark.parametrize(
    "text",
    ["2026-02-29", "2026-13", "2026-3-2", "2026-03-02T09:00Z", "2026-03-02T09:00:00", "２０２６", "", "2026-03-02T09:00:61Z"],
)
def test_a_time_that_is_none_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a FHIR|does not exist") as refused:
        times.parse(text)
    assert not text or text not in str(refused.value)


def test_a_moment_keeps_its_precision_and_offset() -> None:
    assert [times.parse(text).precision for text in ("2026", "2026-03", "2026-03-02", "2026-03-02T00:00:00Z")] == [
        "year",
        "month",
        "day",
        "second",
    ]
    assert times.parse("2026-03").offset is None


def test_an_instant_is_aware_and_in_utc() -> None:
    assert times.instant("2026-03-02T09:00:00.250-05:00") == datetime(2026, 3, 2, 14, 0, 0, 250000, tzinfo=UTC)
    with pytest.raises(ValueError, match="no instant"):
        times.instant("2026-03-02")


@given(st.datetimes(timezones=st.timezones()))
def test_what_python_writes_is_read_as_the_same_time(moment: datetime) -> None:
    offset = moment.utcoffset()
    if offset is not None and offset.total_seconds() % 60 == 0 and 1900 < moment.year < 9999:  # R4 writes offsets in minutes
        assert times.instant(moment.isoformat(timespec="microseconds")) == moment.astimezone(UTC)
