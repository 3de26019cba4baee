"""`fhir-bridge conflicts` and `fhir-bridge reconcile`: lists without values, both values on request, decisions, one or many."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hand import change, delete, pulled
from ward import Ward, post, work

from fhir_bridge.cli.group import command
from fhir_bridge.settings import Settings
from fhir_bridge.sync.bridge import Bridge

Run = Callable[..., Result]


@pytest.fixture
def run(settings: Settings, tmp_path: Path, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `fhir-bridge` on the bridge's own database and hospital."""
    config = tmp_path / "sites.toml"
    config.write_text(f'[hospitals.general]\nbase_url = "{settings.hospitals["general"].base_url}"\n')
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", settings.database_url.reveal())
    monkeypatch.setenv("FHIR_BRIDGE_CONFIG", str(config))
    return lambda *words: CliRunner().invoke(command, words)


@pytest.fixture
def disputed(bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    """The hospital changed the end of the infusion and deleted one drug's record."""
    post(bridge, session)
    work(bridge)
    change(hospital, "Procedure", lambda one: one["performedPeriod"].update(end="2026-03-02T20:00:00Z"))
    delete(hospital, "MedicationAdministration", hospital.held("MedicationAdministration")[0]["id"])
    pulled(bridge, hospital)


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("conflicts", "list", "--json", *words).stdout)
    return found


def test_the_list_tells_records_and_fields_and_no_value(run: Run, disputed: None) -> None:
    printed = run("conflicts", "list").stdout
    assert len(printed.splitlines()) == 2
    assert "the clinic's field" in printed
    assert "the hospital deleted it" in printed
    assert "20:00" not in printed
    assert listed(run, "--hospital", "another") == []


def test_one_is_shown_with_both_values(run: Run, disputed: None, session: dict[str, Any]) -> None:
    (id,) = [one["id"] for one in listed(run) if one["what"] == "field"]
    shown = json.loads(run("conflicts", "show", id, "--json").stdout)
    assert shown["theirs"].startswith("2026-03-02T20:00:00")
    assert shown["ours"] == session["ended_at"]
    assert run("conflicts", "show", "nothing").exit_code == 1


def test_one_is_decided_and_then_all(run: Run, disputed: None, bridge: Bridge, hospital: Ward) -> None:
    (id,) = [one["id"] for one in listed(run) if one["what"] == "field"]
    assert run("conflicts", "keep-ours", id, "--reason", "read off the pump").stdout == f"{id} is decided: kept-ours\n"
    assert run("conflicts", "take-theirs", id).exit_code == 1
    assert json.loads(run("conflicts", "keep-ours", "--all", "--json").stdout) == {"decided": 1, "left": []}
    assert listed(run) == []
    assert {one["state"] for one in listed(run, "--state", "kept-ours")} == {"kept-ours"}
    work(bridge)
    assert json.loads(run("reconcile", "--json").stdout)["hospitals"][0]["finds"] == []


def test_a_decision_needs_one_or_several(run: Run, disputed: None) -> None:
    assert run("conflicts", "keep-ours").exit_code == 2
    assert run("conflicts", "keep-ours", "an-id", "--all").exit_code == 2


def test_reconcile_prints_what_it_found_and_repairs(run: Run, bridge: Bridge, hospital: Ward, session: dict[str, Any]) -> None:
    post(bridge, session)
    work(bridge)
    delete(hospital, "MedicationAdministration", hospital.held("MedicationAdministration")[0]["id"])
    done = run("reconcile")
    assert (done.exit_code, "1 missing" in done.stdout, "the pull had missed 0" in done.stdout) == (0, True, True)
    assert "repaired: 1 deleted" in run("reconcile", "--repair", "--hospital", "general").stdout
    assert listed(run)[0]["what"] == "deleted"
    assert run("reconcile", "--hospital", "nowhere").exit_code == 1
