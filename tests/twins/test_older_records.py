"""An older record that is planned again leaves what it shares with a newer one as the newer one said."""

from collections.abc import Callable

import pytest
from twins_rig import Doc, Rig, sessions

from fhir_bridge.store import outbox

SERIES = ("multi-day-series", "multi-day-series (inpatient)")
SHARED = ("Patient", "EpisodeOfCare", "CarePlan", "Encounter", "Appointment")


def delivered(here: Rig, case: str) -> list[Doc]:
    """Every day of the series, a day apart."""
    days = [session for _, session in sessions(case)]
    for day in days:
        here.deliver(day)
        here.clock.pass_(days=1)
    return days


def again(here: Rig, session: Doc) -> Doc:
    """The same version once more on its way, as a worker wakes it or a person retries it."""
    with here.bridge.store.transaction() as tx:
        last = outbox.of_record(tx, "default", "session", session["id"])[-1]
        outbox.enqueue(
            tx, tenant="default", hospital="general", lane=last.lane, kind="session", record_id=session["id"],
            version=last.version, now=tx.now,
        )  # fmt: skip
    here.work()
    return here.state(session)


@pytest.mark.parametrize("case", SERIES)
@pytest.mark.parametrize("name", ["hapi", "oracle"])
def test_an_older_day_planned_again_changes_nothing(rig: Callable[..., Rig], name: str, case: str) -> None:
    here = rig(name)
    first, *_ = delivered(here, case)
    before = len(here.chart.log)
    end = again(here, first)
    assert end["state"] == "delivered"
    assert [version.type for version in here.chart.log[before:]] == []
    assert "work" not in end


def test_what_an_older_day_shares_stays_its_own_too(rig: Callable[..., Rig]) -> None:
    here = rig("hapi")
    first, *_ = delivered(here, SERIES[1])
    before = {one["ours"] for one in here.state(first)["resources"]}
    after = {one["ours"] for one in again(here, first)["resources"]}
    assert after == before
    assert {key.partition("/")[0] for key in after} >= set(SHARED)


def test_a_day_corrected_after_the_last_one_speaks_for_what_they_share(rig: Callable[..., Rig]) -> None:
    here = rig("hapi")
    first, *_ = delivered(here, SERIES[0])
    patient = first["patient"] | {"phone": "+1-555-0199"}
    correction = {"reason": "a new number", "at": "2026-03-20T08:00:00-05:00"}
    here.deliver(first | {"version": 2, "correction": correction, "patient": patient})
    (held,) = here.documents("Patient")
    assert "+1-555-0199" in [one["value"] for one in held["telecom"]]
