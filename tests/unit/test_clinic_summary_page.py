"""The summary on one page: always one, always the same bytes, nothing lost in silence, and no name where a viewer shows metadata."""

import re
import zlib
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
import strategies
from hypothesis import given, settings
from test_clinic_summary import CASES, MONITORED, STOPPED, case, section, without

from fhir_bridge.clinic.summary import summary_text, timeline
from fhir_bridge.clinic.summary.columns import Block, fitted, moved
from fhir_bridge.clinic.summary.letters import PLAIN, drawable, width, wrapped
from fhir_bridge.clinic.summary.page import TITLE, summary_pdf
from fhir_bridge.clinic.summary.wording import clock_of, plain

SESSIONS = sorted(
    str(path.relative_to(CASES)).removesuffix(".json") for path in CASES.glob("*/session-*.json") if ".fhir." not in path.name
)


def drawn(pdf: bytes) -> str:
    """The strokes and texts of the page, and whatever else stands in the document's streams."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    return "".join(zlib.decompressobj().decompress(stream).decode("latin-1") for stream in streams)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


@pytest.mark.parametrize("name", SESSIONS)
def test_each_story_fits_on_one_page_and_is_drawn_the_same_again(name: str):
    pdf = summary_pdf(case(name))
    assert pages(pdf) == 1
    assert pdf == summary_pdf(case(name))


@given(record=strategies.sessions())
@settings(max_examples=25, deadline=None)
def test_every_session_that_the_door_takes_can_be_told_and_drawn(record: dict[str, Any]):
    assert summary_text(record).startswith(f"INFUSION SESSION {record['id']}: ") or len(record["id"]) > 30
    assert pages(summary_pdf(record)) == 1


def test_what_a_viewer_shows_as_title_names_no_patient():
    pdf = summary_pdf(STOPPED)
    assert TITLE.encode() in pdf
    assert all(part.encode() not in pdf for part in ("Rowan", "Testadora", "SYN-100724", "S-RBI-1"))


def test_how_a_session_ended_is_on_the_page():
    assert "STOPPED EARLY - adverse reaction" in drawn(summary_pdf(STOPPED))


def test_a_session_entered_in_error_has_no_timeline():
    page = drawn(summary_pdf(without(STOPPED, "status_reason", status="entered-in-error")))
    assert "ENTERED IN ERROR" in page
    assert "eptinezumab" not in page.lower()


def test_a_name_with_letters_that_no_font_has_is_drawn_and_the_page_says_so():
    record = deepcopy(STOPPED)
    record["patient"] |= {"family_name": "Świątek", "given_names": ["山田"]}
    assert "Letters this page has no shapes for" in drawn(summary_pdf(record))
    assert "Letters this page has no shapes for" not in drawn(summary_pdf(STOPPED))


@pytest.mark.parametrize(("text", "shown", "whole"), [("Łucja", "Łucja", True), ("Świątek", "Swiatek", False), ("山田", "??", False)])
def test_letters_degrade_where_one_can_see_it(text: str, shown: str, whole: bool):
    found, _, kept = drawable(text, PLAIN)
    assert (found, kept) == (shown, whole)


def test_no_wrapped_line_is_wider_than_its_room():
    lines = wrapped(f"{'word ' * 40}{'W' * 200}", 100, PLAIN, 7)
    assert max(width(line, PLAIN, 7) for line in lines) <= 100
    assert lines[-1].endswith("…")


def test_more_drugs_than_there_is_room_for_are_counted():
    record = deepcopy(STOPPED)
    record["drugs"] = [deepcopy(STOPPED["drugs"][1]) | {"id": f"{number:02}"} for number in range(20, 45)]
    assert "and 16 more, see text" in drawn(summary_pdf(record))


def test_the_longest_section_gives_way_and_says_how_much_is_left():
    long, short = Block("Long", tuple((f"{number}",) for number in range(20))), Block("Short", (("only",),))
    found = dict(fitted([long, short], 12))
    assert found["Short"] == ["only"]
    assert found["Long"] == [*"012345", "… and 14 more, see text"]


def test_what_has_no_room_on_the_right_goes_under_the_left():
    assert moved([10, 5], [20, 6, 4], 26) == 1
    assert moved([10, 5], [20, 6, 4], 30) == 0
    assert moved([25], [20, 6, 4], 26) == 0


def test_every_reaction_of_a_session_stopped_for_them_is_told_whole():
    assert "more, see text" not in drawn(summary_pdf(STOPPED))


def test_the_axis_begins_and_ends_with_the_session_and_stray_times_do_not_stretch_it():
    record = deepcopy(STOPPED)
    record["reactions"][0] |= {"ended_at": "2026-05-14T08:00:00-04:00"}
    found = timeline.span(record, clock_of(record))
    assert found is not None
    assert (f"{found.start:%d %H:%M}", f"{found.end:%d %H:%M}", found.minutes) == ("12 09:30", "12 12:37", 30)


def test_nothing_with_a_time_is_no_timeline():
    assert timeline.span({"status": "no-show"}, clock_of({})) is None


def test_a_change_of_rate_is_two_pieces_of_one_lane():
    record = case("status-migrainosus-rescue/session-1")
    lane = next(lane for lane in timeline.lanes(record, clock_of(record), plain) if lane.name == "Magnesium sulfate")
    assert [piece.labels[:2] for piece in lane.pieces] == [("0.67 g at 100 mL/h", "100 mL/h"), ("1.33 g at 50 mL/h", "50 mL/h")]


def test_a_line_is_broken_where_nothing_was_measured():
    values = without(MONITORED, "symptoms", "drugs", "fluids", "reactions")
    whole = deepcopy(values)
    for reading in whole["readings"]:
        reading["blood_pressure"] = {"systolic": 120, "diastolic": 80}
    assert "not measured" in drawn(summary_pdf(values))
    assert "not measured" not in drawn(summary_pdf(whole))


def test_one_reading_is_a_point_and_an_extreme_one_stays_on_the_page():
    record = without(
        STOPPED, "symptoms", readings=[{"taken_at": "2026-05-12T09:35:00-04:00", "state": "recorded", "heart_rate": Decimal("0.0")}]
    )
    assert pages(summary_pdf(record)) == 1
    assert section(record, "VITAL SIGNS").endswith("Heart rate /min 0.0 1")
