"""Cron expressions in a zone: due times that never repeat and are never left out, days with 23 and 25 hours, and words for people."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_bridge.errors import Refused
from fhir_bridge.sync.schedules import times
from fhir_bridge.sync.schedules.times import MOST_MISSED, checked, due_times, in_words, missed, moment_in_words, next_after

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
# the clocks' changes of 2026: New York 8 March and 1 November, Berlin 29 March and 25 October
SPRING = {NEW_YORK: datetime(2026, 3, 8, tzinfo=NEW_YORK), BERLIN: datetime(2026, 3, 29, tzinfo=BERLIN)}
AUTUMN = {NEW_YORK: datetime(2026, 11, 1, tzinfo=NEW_YORK), BERLIN: datetime(2026, 10, 25, tzinfo=BERLIN)}
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", "America/St_Johns", "UTC")


def _on(day: datetime, cron: str) -> list[str]:
    """The due times on that day, as the clock on the wall shows them, with their offset."""
    zone = day.tzinfo
    assert isinstance(zone, ZoneInfo)
    found = islice(due_times(cron, zone, (day - timedelta(minutes=1)).astimezone(UTC)), 200)
    local = [moment.astimezone(zone) for moment in found]
    return [f"{moment:%H:%M%z}" for moment in local if moment.date() == day.date()]


@pytest.mark.parametrize(("zone", "offset"), [(NEW_YORK, "-0400"), (BERLIN, "+0200")])
def test_a_time_that_does_not_exist_in_spring_is_due_once_at_the_next_that_does(zone: ZoneInfo, offset: str) -> None:
    assert _on(SPRING[zone], "30 2 * * *") == [f"03:00{offset}"]
    assert _on(SPRING[zone], "0,30 2 * * *") == [f"03:00{offset}"]
    assert _on(SPRING[zone] - timedelta(days=1), "30 2 * * *")[0].startswith("02:30")
    assert _on(SPRING[zone] + timedelta(days=1), "30 2 * * *") == [f"02:30{offset}"]


@pytest.mark.parametrize(("zone", "cron", "due"), [(NEW_YORK, "30 1 * * *", "01:30-0400"), (BERLIN, "30 2 * * *", "02:30+0200")])
def test_a_time_that_exists_twice_in_autumn_is_due_once_at_the_first(zone: ZoneInfo, cron: str, due: str) -> None:
    assert _on(AUTUMN[zone], cron) == [due]


def test_who_asks_within_the_second_half_of_the_doubled_hour_is_told_the_next_day() -> None:
    within = datetime(2026, 11, 1, 1, 10, fold=1, tzinfo=NEW_YORK)
    assert next_after("30 1 * * *", NEW_YORK, within) == datetime(2026, 11, 2, 1, 30, tzinfo=NEW_YORK)


@pytest.mark.parametrize("zone", [NEW_YORK, BERLIN])
def test_every_ten_minutes_is_every_ten_minutes_whatever_the_clock_on_the_wall_does(zone: ZoneInfo) -> None:
    for day in (SPRING[zone], AUTUMN[zone]):
        found = list(islice(due_times("*/10 * * * *", zone, day), 200))
        assert {after - before for before, after in pairwise(found)} == {timedelta(minutes=10)}


def test_a_star_for_the_minute_within_the_hour_that_changes_goes_by_the_clock_on_the_wall() -> None:
    assert _on(SPRING[NEW_YORK], "*/30 2 * * *") == []
    assert _on(AUTUMN[NEW_YORK], "*/30 1 * * *") == ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500"]


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("30 2 * *", "five fields"),
        ("0 30 2 * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 2 * * *", "minute"),
        ("30 2 30 2 *", "day-of-month"),
        ("30 2 * * MOON", "day-of-week"),
    ],
)
def test_what_is_never_due_or_no_expression_is_refused_with_the_reason(cron: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        checked(cron)


def test_a_leap_day_on_a_monday_is_waited_for() -> None:
    assert next_after(checked("0 0 29 FEB  *"), NEW_YORK, SPRING[NEW_YORK]) == datetime(2028, 2, 29, tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 2 * * *", "every day at 02:30"),
        ("0 12 * * 1-5", "at 12:00 on Monday through Friday"),
        ("*/5 * * * *", "every fifth minute of every hour"),
        ("0 0 1 * *", "at 00:00 on the first day of every month"),
    ],
)
def test_an_expression_is_said_in_words(cron: str, words: str) -> None:
    assert in_words(cron) == words


def test_a_moment_is_said_as_the_clock_on_the_wall_shows_it() -> None:
    moment = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
    assert moment_in_words(moment, NEW_YORK) == "Monday 23 November 2026 02:30 America/New_York"
    assert moment_in_words(moment, UTC) == "Monday 23 November 2026 07:30 UTC"


def test_what_was_missed_is_counted_up_to_a_bound() -> None:
    due = datetime(2026, 5, 1, tzinfo=UTC)
    assert missed("0 0 * * *", UTC, due=due, now=due + timedelta(days=3)) == 3
    assert missed("0 0 * * *", UTC, due=due, now=due + timedelta(hours=23)) == 0
    assert missed("* * * * *", UTC, due=due, now=due + timedelta(days=30)) == MOST_MISSED


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    several = st.lists(one, min_size=1, max_size=3).map(lambda found: ",".join(map(str, sorted(set(found)))))
    span = st.tuples(one, one).map(lambda ends: f"{min(ends)}-{max(ends)}")
    return st.one_of(st.just("*"), several, span, st.integers(1, high).map(lambda step: f"*/{step}"))


CRONS = st.builds(
    lambda *fields: " ".join(fields),
    _field(0, 59), _field(0, 23), st.one_of(st.just("*"), _field(1, 28)), st.one_of(st.just("*"), _field(1, 12)), _field(0, 6),
)  # fmt: skip
# any, and more than chance would give shortly before the clocks change: New York, Berlin, Lord Howe, Cairo
CHANGES = [datetime(2026, *day, tzinfo=UTC) for day in ((3, 8), (11, 1), (3, 29), (10, 25), (4, 4), (10, 3), (4, 24), (10, 29))]
_SECONDS = st.integers(-2 * 86_400, 86_400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.builds(
    datetime.__add__, st.sampled_from([*CHANGES, datetime(2026, 6, 1, tzinfo=UTC), datetime(2028, 2, 28, tzinfo=UTC)]), _SECONDS
)


@settings(max_examples=200, deadline=None)
@given(
    cron=CRONS,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=MOMENTS,
    downtimes=st.lists(st.timedeltas(timedelta(0), timedelta(hours=40)), max_size=4),
)
def test_whatever_the_downtimes_each_due_time_is_answered_by_exactly_one_run(
    cron: str, zone: ZoneInfo, start: datetime, downtimes: list[timedelta]
) -> None:
    """A schedule as the store keeps it: a run answers its due time and all that were missed until it began, then the next is told."""
    due, now, answered = next_after(cron, zone, start), start, list[datetime]()
    for downtime in downtimes:
        now += downtime
        if due > now:
            continue
        later = list(takewhile(lambda moment: moment <= now, due_times(cron, zone, due)))  # noqa: B023
        assert missed(cron, zone, due=due, now=now) == min(len(later), MOST_MISSED)
        answered += [due, *later]
        due = next_after(cron, zone, now)
        assert due > now
    expected = list(takewhile(lambda moment: moment < due, due_times(cron, zone, start)))
    assert answered == expected
    assert all(before < after for before, after in pairwise(answered))


@settings(max_examples=200, deadline=None)
@given(cron=CRONS, zone=st.sampled_from(ZONES).map(ZoneInfo), start=MOMENTS)
def test_a_due_time_shows_what_the_expression_says_unless_that_does_not_exist(cron: str, zone: ZoneInfo, start: datetime) -> None:
    """Checked against a reading of the expression of our own; only a time that the clock skips may be shown later."""
    for moment in islice(due_times(cron, zone, start), 20):
        local = moment.astimezone(zone)
        skipped = (local - timedelta(hours=2)).utcoffset() != local.utcoffset()
        minutes, hours = (_values(field, high) for field, high in zip(cron.split()[:2], (59, 23), strict=True))
        assert skipped or (local.minute in minutes and local.hour in hours and local.second == 0)


def _values(field: str, high: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, high + 1, int(field.partition("/")[2] or 1)))
    low, _, end = field.partition("-")
    return set(range(int(low), int(end) + 1)) if end else set(map(int, field.split(",")))


@given(cron=CRONS)
def test_every_expression_can_be_said_in_words(cron: str) -> None:
    assert in_words(cron)
    assert times.checked(cron) == cron
