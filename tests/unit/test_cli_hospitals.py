"""The commands about hospitals: plans by statement, keys, pause, and what is stopped."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_bridge.cli.group import command
from fhir_bridge.sandbox.profile import load
from fhir_bridge.sandbox.running import running
from fhir_bridge.sandbox.server import create_app

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
VISIT = str(CASES / "monitored-clinic-visit" / "session-1.json")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command against a database of its own."""
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'bridge.sqlite'}")
    monkeypatch.setenv("FHIR_BRIDGE_HOSPITAL", "http://127.0.0.1:9/fhir")
    monkeypatch.setenv("FHIR_BRIDGE_KEYS", str(tmp_path / "keys"))

    def call(*words: str) -> Result:
        return CliRunner().invoke(command, words, prog_name="fhir-bridge")

    assert call("db", "upgrade").exit_code == 0
    return call


def test_the_plan_for_epic_has_no_transaction_no_conditional_create_and_no_encounter_but_a_document(run):
    plan = json.loads(run("plan", VISIT, "--like", "epic", "--json").stdout)
    writes = [write for step in plan["steps"] for write in step["writes"]]
    assert not [step for step in plan["steps"] if step["rung"] == "transaction"]
    assert not [write for write in writes if write["verb"] == "create-if-none"]
    assert not [write for write in writes if write["key"].startswith("Encounter/")]
    (folded,) = [one for one in plan["folded"] if one["key"].startswith("Encounter/")]
    assert folded["into"].startswith("DocumentReference/")
    assert folded["into"] in {write["key"] for write in writes}


@pytest.mark.parametrize("name", ["hapi", "oracle"])
def test_the_plan_for_a_hospital_of_the_settings_is_made_of_what_its_server_says_now(run, monkeypatch, name: str):
    with running(create_app(load(name))) as server:
        monkeypatch.setenv("FHIR_BRIDGE_HOSPITAL", server.base_url)
        live = run("plan", VISIT, "--hospital", "hospital", "--json")
    assert live.exit_code == 0, live.output
    rungs = {step["rung"] for step in json.loads(live.stdout)["steps"]}
    assert ("transaction" in rungs) == (name == "hapi")


def test_a_plan_for_a_hospital_that_does_not_answer_or_is_not_set_says_so(run):
    silent = run("plan", VISIT, "--hospital", "hospital")
    assert (silent.exit_code, silent.stdout) == (1, "")
    assert "CapabilityStatement could not be read" in silent.output
    unknown = run("plan", VISIT, "--hospital", "nowhere")
    assert (unknown.exit_code, "known: hospital" in unknown.output) == (1, True)


def test_keys_are_made_once_shown_and_rotated(run):
    assert "generate" in run("keys", "show").stdout
    made = json.loads(run("keys", "generate", "--json").stdout)
    assert [key["signs"] for key in made] == [True]
    assert run("keys", "generate").exit_code == 1
    rotated = json.loads(run("keys", "rotate", "--json").stdout)
    assert [key["signs"] for key in rotated] == [False, True]
    jwks = json.loads(run("keys", "show", "--json").stdout)
    assert [key["kid"] for key in jwks["keys"]] == [key["kid"] for key in rotated]
    assert not any("d" in key for key in jwks["keys"])


def test_a_hospital_is_paused_and_resumed_with_a_reason(run):
    assert run("pause", "hospital").exit_code == 2
    assert run("pause", "hospital", "--reason", "maintenance").exit_code == 0
    assert "paused: maintenance" in run("status").stdout
    assert run("resume", "hospital", "--reason", "over").exit_code == 0
    assert "paused" not in run("status").stdout
    assert run("pause", "nowhere", "--reason", "x").exit_code == 1


@pytest.mark.parametrize("name", ["retry", "discard"])
def test_what_is_tried_again_or_given_up_is_named_one_way(run, name: str):
    assert run(name, "--reason", "x").exit_code == 2
    assert run(name, "general/lane/1", "--all", "--reason", "x").exit_code == 2
    assert run(name, "general/lane/1", "--reason", "x").exit_code == 1
    done = run(name, "--all", "--reason", "x", "--json")
    assert (done.exit_code, next(iter(json.loads(done.stdout).values()))) == (0, 0)
