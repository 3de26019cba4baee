"""`fhir-bridge sync` as cron calls it: both ways, counted, kept in the history; and its dry run, which changes nothing at all."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text
from ward import Clock, Ward, post, work

from fhir_bridge.cli import group
from fhir_bridge.settings import Settings
from fhir_bridge.store import hospitals, schedule_runs
from fhir_bridge.store.schedule_runs import Order
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.schedules import preview, preview_words, run
from fhir_bridge.sync.schedules.run import Limits
from fhir_bridge.sync.schedules.works import WORKS

BOTH = Order("default", "both", ("general",), "ann")
COMPARE = replace(BOTH, what="reconcile")
WORKS_OF = schedule_runs.WORKS


@pytest.fixture
def clock() -> Clock:
    """The machine's time: the command is another process, and the hospital's is the machine's too."""
    from fhir_bridge.clock import utc_now

    class Now(Clock):
        def __call__(self) -> Any:
            return utc_now()

    return Now()


@pytest.fixture
def environment(settings: Settings, tmp_path: Path, bridge: Bridge) -> dict[str, str]:
    """What tells `fhir-bridge` of the bridge's own database and hospital."""
    config = tmp_path / "sites.toml"
    config.write_text(f'[hospitals.general]\nbase_url = "{settings.hospitals["general"].base_url}"\n')
    return {"FHIR_BRIDGE_DATABASE_URL": settings.database_url.reveal(), "FHIR_BRIDGE_CONFIG": str(config)}


@pytest.fixture
def cron(environment: dict[str, str]) -> Any:
    """Runs `fhir-bridge` as a process, as cron does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")}

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        asked = [sys.executable, "-m", "fhir_bridge", *words]
        return subprocess.run(asked, env=kept | environment, capture_output=True, text=True, check=False, timeout=60)

    return call


@pytest.fixture
def command(environment: dict[str, str]) -> Callable[..., Result]:
    """Runs `fhir-bridge` here: a process of its own takes a second to start."""
    others = dict.fromkeys(name for name in os.environ if name.startswith("FHIR_BRIDGE_"))
    return lambda *words: CliRunner().invoke(group.command, words, env={**others, **environment})


def everything(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """Each row of each table."""
    engine = create_engine(settings.database_url.reveal())
    with engine.connect() as connection:
        tables = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")).all()
        found = {table: sorted(map(repr, connection.execute(text(f'SELECT * FROM "{table}"')))) for table in tables}  # noqa: S608
    engine.dispose()
    return found  # type: ignore[return-value]


def moved(hospital: Ward) -> None:
    """The hospital puts the follow-up off by a week."""
    appointment = next(one for one in hospital.held("Appointment") if one["status"] == "booked")
    changed = appointment | {"start": "2026-04-02T10:00:00-04:00", "end": "2026-04-02T10:30:00-04:00"}
    requests.put(f"{hospital.base_url}/Appointment/{appointment['id']}", json=changed, timeout=10).raise_for_status()


def test_a_dry_run_tells_the_plan_and_what_waits_and_changes_nothing(
    bridge: Bridge, settings: Settings, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    before, asked = everything(settings), len(hospital.chart.log)
    pulled, pushed = preview.preview(bridge, BOTH)
    assert everything(settings) == before
    assert len(hospital.chart.log) == asked
    assert all(call.startswith("GET") for call in hospital.spoiled.calls)
    [delivery] = pushed["deliveries"]
    assert delivery["record"] == f"session/{session['id']}"
    assert delivery["words"][0].startswith("Plan for ")
    assert {write["what"].split()[0] for step in delivery["plan"]["steps"] for write in step["writes"]} >= {"Patient", "Encounter"}
    assert pulled["counts"] == {}
    assert any("nothing of ours is there yet" in note for note in pulled["notes"])


def test_a_dry_run_counts_what_the_hospital_changed_and_a_sync_applies_it(
    bridge: Bridge, settings: Settings, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    moved(hospital)
    before = everything(settings)
    pulled, pushed = preview.preview(bridge, BOTH)
    assert everything(settings) == before
    assert (pulled["counts"]["changed"], pushed["deliveries"]) == (1, [])
    assert "Appointment: by its history; deletions are seen; never read to its end" in "\n".join(preview_words.lines(pulled))
    ended = run.carry_out(bridge, run.begin(bridge, BOTH), WORKS, limits=Limits())
    assert (ended.outcome, run.totals(ended)["changed"]) == ("done", 1), run.errors(ended)
    again = preview.preview(bridge, BOTH)[0]
    assert again["counts"].get("changed", 0) == 0
    assert f"; read up to {again['cursors']['Appointment']}" in "\n".join(preview_words.lines(again))


def test_a_pull_that_is_asked_to_stop_finishes_its_page_and_the_next_goes_on(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session)
    work(bridge)
    moved(hospital)
    pull, stop = replace(BOTH, what="pull"), threading.Event()
    asked = len(hospital.spoiled.calls)
    ended = run.carry_out(bridge, run.begin(bridge, pull), WORKS, limits=Limits(), tell=lambda _: stop.set(), stopping=stop.is_set)
    assert (ended.outcome, run.errors(ended)) == ("stopped", [])
    assert len(hospital.spoiled.calls) == asked + 1
    again = run.carry_out(bridge, run.begin(bridge, pull), WORKS, limits=Limits())
    assert (again.outcome, run.totals(again)["changed"]) == ("done", 1)


def test_a_reconciliation_is_a_run_like_any_other(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    compare = replace(BOTH, what="reconcile")
    ended = run.carry_out(bridge, run.begin(bridge, compare), WORKS, limits=Limits())
    assert (ended.outcome, run.errors(ended)) == ("done", [])
    assert run.totals(ended)["same"] > 5
    assert "pull_missed" not in run.totals(ended)
    gone = next(one for one in hospital.held("Appointment") if one["status"] == "booked")
    requests.delete(f"{hospital.base_url}/Appointment/{gone['id']}", timeout=10).raise_for_status()
    stop = threading.Event()
    stopped = run.carry_out(bridge, run.begin(bridge, compare), WORKS, limits=Limits(), tell=lambda _: stop.set(), stopping=stop.is_set)
    assert (stopped.outcome, run.errors(stopped)) == ("stopped", [])


def test_a_hospital_that_is_out_fails_the_pull(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    hospital.spoiled.answers += [("GET", 503)] * 50
    ended = run.carry_out(bridge, run.begin(bridge, replace(BOTH, what="pull")), WORKS, limits=Limits())
    assert ended.outcome == "failed"
    assert "Appointment" in run.errors(ended)[0]


def test_a_dry_run_says_why_nothing_would_be_sent(bridge: Bridge, session: dict[str, Any]) -> None:
    post(bridge, session)
    with bridge.store.transaction() as tx:
        hospitals.pause(tx, "default", "general", who="ann", why="moving house", now=tx.now)
    _, pushed = preview.preview(bridge, BOTH)
    assert pushed["why"] == "paused, nothing would be sent: moving house"
    assert len(pushed["deliveries"]) == 1


@pytest.mark.parametrize("what", WORKS_OF)
def test_whatever_a_schedule_runs_can_be_told_beforehand_and_nothing_is_changed(
    bridge: Bridge, settings: Settings, hospital: Ward, session: dict[str, Any], what: str
) -> None:
    post(bridge, session)
    work(bridge)
    moved(hospital)
    hospitals_ = () if what == "archive" else ("general",)
    before, held = everything(settings), {kind: hospital.versions(kind) for kind in ("Appointment", "Encounter", "Patient")}
    parts = preview.preview(bridge, Order("default", what, hospitals_, "ann"), older_than=1)
    assert everything(settings) == before
    assert {kind: hospital.versions(kind) for kind in held} == held
    assert [part["work"] for part in parts] == list(WORKS_OF[what])
    assert all("why" not in part and len(list(preview_words.lines(part))) > 0 for part in parts)


def test_a_reconciliation_told_beforehand_says_what_it_would_compare_and_find(
    bridge: Bridge, hospital: Ward, session: dict[str, Any]
) -> None:
    post(bridge, session | {"readings": session["readings"][:2]})
    work(bridge)
    moved(hospital)
    gone = hospital.held("MedicationAdministration")[0]["id"]
    requests.delete(f"{hospital.base_url}/MedicationAdministration/{gone}", timeout=10).raise_for_status()
    [told] = preview.preview(bridge, COMPARE)
    assert told["counts"] == {"same": told["links"] - 2, "missing": 1, "brought": 1}
    assert (told["pull"]["counts"]["changed"], told["compared"]) == (1, told["links"])
    assert [(find["what"], find["theirs"], find["missed"]) for find in told["finds"]] == [
        ("missing", f"MedicationAdministration/{gone}", False)
    ]
    words = list(preview_words.lines(told))
    assert words[0].startswith(f"reconcile general: {told['links']} resources would be read and compared; of the first {told['links']}: ")
    assert any(line.startswith("  before it a pull: ") and "1 changed" in line for line in words)
    ended = run.carry_out(bridge, run.begin(bridge, COMPARE), WORKS, limits=Limits())
    assert {name: run.totals(ended).get(name, 0) for name in ("same", "missing", "different")} == {
        "same": told["links"] - 1, "missing": 1, "different": 0,
    }  # fmt: skip


def test_of_many_resources_the_first_hundred_are_compared_beforehand(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    [told] = preview.preview(bridge, COMPARE)
    assert told["links"] > told["compared"] == 100


def test_what_the_archive_would_take_is_counted(bridge: Bridge, session: dict[str, Any], clock: Clock) -> None:
    post(bridge, session)
    work(bridge)
    tidy = Order("default", "archive", (), "ann")
    [young], [old] = preview.preview(bridge, tidy, older_than=1), preview.preview(bridge, tidy, older_than=0)
    assert [(one["archived"], one["more"]) for one in (young, old)] == [(0, False), (1, False)]
    assert next(preview_words.lines(old)) == f"archive: 1 deliveries closed before {old['before']} would be put away"


def test_by_cron_it_delivers_keeps_the_history_and_ends_with_0(bridge: Bridge, cron: Any, session: dict[str, Any]) -> None:
    post(bridge, session)
    dry = cron("sync", "--push", "--dry-run")
    assert (dry.returncode, dry.stdout.splitlines()[0]) == (0, "push general: 1 would be delivered")
    done = cron("sync", "--json")
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)["runs"]
    assert (told["what"], told["outcome"], told["counts"]["delivered"]) == ("both", "done", 1)
    [kept] = json.loads(cron("schedule", "history", "--json").stdout)
    assert kept == told


def test_what_another_run_does_right_now_is_not_done_and_ends_with_1(bridge: Bridge, command: Callable[..., Result]) -> None:
    with bridge.store.transaction() as tx:
        schedule_runs.begin(tx, BOTH, worker="elsewhere", seconds=60)
    done = command("sync", "--push")
    assert (done.exit_code, done.stdout.partition(" since")[0]) == (1, "default push: not run: run 1 (both, by ann) is doing this")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sync", "--hospital", "nowhere"), 1, "--hospital: no hospital nowhere is set"),
        (("sync", "--site", "nowhere"), 1, "--site: no site 'nowhere' is set"),
        (("sync", "--thaw", "general", "Task"), 1, "is not frozen"),
        (("sync", "--thaw", "general"), 2, "requires 2 arguments"),
        (("schedule", "add", "nightly"), 2, "--cron"),
        (("schedule", "run", "nightly"), 1, "no schedule of that name"),
    ],
)
def test_what_is_wrong_is_told_on_stderr(command: Callable[..., Result], words: tuple[str, ...], code: int, said: str) -> None:
    done = command(*words)
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_schedule_is_added_listed_run_paused_resumed_and_removed_by_hand(command: Callable[..., Result]) -> None:
    added = command("schedule", "add", "nightly", "--what", "push", "--cron", "30 2 * * *")
    assert added.stdout.startswith("default nightly: push all hospitals; every day at 02:30, next ")
    foreseen = command("schedule", "run", "nightly", "--dry-run")
    assert (foreseen.exit_code, foreseen.stdout) == (0, "push general: nothing is due\n")
    assert json.loads(command("schedule", "run", "nightly", "--json").stdout)["outcome"] == "done"
    command("schedule", "pause", "nightly", "--reason", "moving house")
    [paused] = json.loads(command("schedule", "list", "--json").stdout)
    assert (paused["paused"]["why"], paused["last"]["schedule"], "next" in paused) == ("moving house", "nightly", False)
    assert "next" in json.loads(command("schedule", "resume", "nightly", "--json").stdout)
    assert command("schedule", "remove", "nightly").exit_code == 0
    assert command("schedule", "list").stdout == "Nothing is scheduled.\n"
    assert len(json.loads(command("schedule", "history", "nightly", "--json").stdout)) == 1
