"""The command line: quick to answer, data on stdout, words on stderr, exit codes 0, 1 and 2."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fhir_bridge import documents
from fhir_bridge.cli.group import COMMANDS, command
from fhir_bridge.clinic import records

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
SESSION = CASES / "monitored-clinic-visit" / "session-1.json"


def _run(*arguments: str, stdin: bytes = b"", **settings: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")}
    words = [sys.executable, "-m", "fhir_bridge", *arguments]
    return subprocess.run(words, input=stdin, env=environment | settings, capture_output=True, check=False, timeout=60)


def test_help_imports_no_command_and_is_quick():
    times = []
    for _ in range(3):
        begun = time.monotonic()
        assert b"sandbox" in _run("--help").stdout
        times.append(time.monotonic() - begun)
    assert min(times) < 0.6


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_the_list_is_the_commands_own(name: str):
    import click

    found = command.get_command(click.Context(command), name)
    assert found is not None
    assert found.name == name
    assert found.help


def test_a_record_goes_through_fhir_and_comes_back():
    there = _run("map", str(SESSION))
    back = _run("map", "--back", "-", stdin=there.stdout)
    assert (there.returncode, back.returncode, back.stderr) == (0, 0, b"")
    expected = records.load("session", documents.loads(SESSION.read_bytes()))
    assert documents.canonical(documents.loads(back.stdout)) == documents.canonical(expected)


def test_what_is_refused_is_told_on_stderr_by_path_and_ends_with_1():
    done = _run("map", "-", stdin=SESSION.read_bytes().replace(b'"completed"', b'"finished"', 1))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"status" in done.stderr


def test_wrong_usage_ends_with_2():
    assert _run("map").returncode == 2
    assert _run("plan", str(SESSION)).returncode == 2
    assert _run("no-such-command").returncode == 2


def test_the_plan_is_words_for_people_and_data_for_programs():
    words, data = _run("plan", str(SESSION), "--like", "hapi"), _run("plan", str(SESSION), "--like", "hapi", "--json")
    assert (words.returncode, data.returncode) == (0, 0)
    assert words.stdout.strip()
    assert json.loads(data.stdout)


def test_a_key_is_shown_once_listed_without_and_revoked(tmp_path: Path):
    at = {"FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.sqlite'}"}
    key = json.loads(_run("clients", "add", "c1", "--json", **at).stdout)["key"]
    listed = _run("clients", "list", "--json", **at).stdout
    assert [client["state"] for client in json.loads(listed)] == ["active"]
    assert key.encode() not in listed
    assert _run("clients", "revoke", "c1", **at).returncode == 0
    assert _run("clients", "revoke", "c1", **at).returncode == 1


def test_a_fresh_database_is_told_from_a_usable_one(tmp_path: Path):
    at = {"FHIR_BRIDGE_DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.sqlite'}"}
    assert _run("db", "check", **at).returncode == 1
    assert _run("db", "upgrade", **at).returncode == 0
    assert _run("db", "check", **at).returncode == 0
    assert b"No hospital" in _run("status", **at).stdout
