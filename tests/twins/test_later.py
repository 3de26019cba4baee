"""What cannot be known or sent yet: it is looked at again, or goes on by itself when what it waited for is there."""

from collections.abc import Callable
from dataclasses import replace

from twins_rig import Doc, Rig, sessions

from fhir_bridge.sandbox.profile import Hospital as Twin
from fhir_bridge.sync import changes, status
from fhir_bridge.sync.delivery import visible


def slow(seconds: float) -> Callable[[Twin], Twin]:
    """A twin that takes a new resource with 202 and shows it so much later."""
    return lambda twin: replace(twin, behaviour=replace(twin.behaviour, created_status=202, visible_after=seconds))


def not_kept(here: Rig, session: Doc) -> list[Doc]:
    return status.not_kept(here.bridge, tenant="default", kind="session", id=session["id"])


def test_what_is_not_visible_yet_is_looked_at_again_and_never_sent_again(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("epic", slow(60))
    first = here.deliver(visit)
    assert first["state"] == "retry_wait"
    assert "looked at again" in first["reason"]
    assert not any(one["visible"] for one in not_kept(here, visit))
    held = here.held()
    for _ in range(3):
        here.clock.pass_(seconds=90)
        here.work()
    last = here.state(visit)
    assert last["state"] == "delivered"
    assert all(sent["kept"]["whole"] for sent in last["resources"])
    assert here.held() == held
    assert {attempt["outcome"] for attempt in last["attempts"]} == {"delivered"}


def test_what_never_shows_is_delivered_and_said_not_to_be_visible(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("epic", slow(10**8))
    here.deliver(visit)
    held = here.held()
    for _ in range(visible.LOOKS + 1):
        here.clock.pass_(hours=7)
        here.work()
    assert here.state(visit)["state"] == "delivered"
    assert {one["visible"] for one in not_kept(here, visit)} == {False}
    assert here.held() == held


def test_what_oracle_drops_is_told_by_resource_and_path(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("oracle")
    here.deliver(visit)
    dropped = {path for one in not_kept(here, visit) for path in one["dropped"]}
    assert dropped == {"Observation.extension.url", "Observation.extension.valueCode"}
    assert not any(one["changed"] for one in not_kept(here, visit))
    told = changes.page(here.bridge, "default", after=0, limit=10)["changes"]
    assert [(one["what"], one.get("kept")) for one in told] == [("session.changed", None), ("session.delivered", False)]


def test_what_waits_for_a_stay_to_end_goes_on_by_itself_when_it_has(rig: Callable[..., Rig]) -> None:
    here = rig("oracle")
    days = [session for _, session in sessions("multi-day-series (inpatient)")]
    first = here.deliver(days[0])
    assert (first["state"], "Observation" in here.held()) == ("delivered", False)
    assert {one["key"].partition("/")[0] for one in first["waiting"]} > {"Encounter", "Observation"}
    for day in days[1:]:
        here.clock.pass_(days=1)
        here.deliver(day)
    states = [here.state(day) for day in days]
    assert [(state["state"], "waiting" in state) for state in states] == [("delivered", False)] * len(days)
    assert here.held()["Encounter"] == len(days) + 1
    again = here.work()
    assert again == 0


def test_what_was_not_kept_of_all_records_is_told_page_by_page_and_of_each_record_the_same(rig: Callable[..., Rig], visit: Doc) -> None:
    here = rig("oracle")
    told = [visit | {"id": f"S-{number}", "patient": visit["patient"] | {"id": f"P-{number}"}} for number in range(2)]
    for session in told:
        here.deliver(session)
    each = [one for session in told for one in not_kept(here, session)]
    pages = [list(status.all_not_kept(here.bridge, tenant="default", page=page)) for page in (3, 10_000)]
    assert pages[0] == pages[1]
    assert len(pages[0]) == len(each) > 3
    assert {one["ours"] for one in pages[0]} == {one["ours"] for one in each}
    assert list(status.all_not_kept(here.bridge, tenant="another")) == []
