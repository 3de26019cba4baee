"""`fhir-bridge demo` against a hospital that does not take everything: it ends well, and says what went another way."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from twins_rig import FIXTURES

from fhir_bridge.cli.demo_service import site_file
from fhir_bridge.sandbox.profile import NAMES, agreed


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """One case of one record."""
    (tmp_path / "visit").mkdir()
    shutil.copy(FIXTURES / "cases" / "monitored-clinic-visit" / "session-1.json", tmp_path / "visit")
    return tmp_path


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")}
    words = [sys.executable, "-m", "fhir_bridge", "demo", *arguments]
    return subprocess.run(words, env=environment, capture_output=True, check=False, timeout=180, text=True)


@pytest.mark.parametrize("name", ["oracle", "epic"])
def test_it_ends_well_where_not_everything_is_taken_as_data(cases: Path, name: str) -> None:
    ended = demo("--cases", str(cases), "--like", name, "--json")
    assert ended.returncode == 0, ended.stderr
    (story,) = json.loads(ended.stdout)
    assert (story["state"], story["whole"], story["equal"]) == ("delivered", False, False)
    assert story["folded"] > 0


def test_it_says_in_words_what_went_another_way(cases: Path) -> None:
    ended = demo("--cases", str(cases), "--like", "oracle")
    assert "in words, in the summary document" in ended.stdout
    assert "1 of 1 records delivered; the hospital holds 0 of them whole as data." in ended.stdout
    assert "equal" not in ended.stdout


def test_what_was_wrong_from_the_start_is_told_as_never_sent_and_ends_well(cases: Path) -> None:
    shutil.copy(FIXTURES / "cases" / "monitored-clinic-visit" / "session-3-entered-in-error.json", cases / "visit")
    ended = demo("--cases", str(cases), "--like", "epic", "--json")
    assert ended.returncode == 0, ended.stderr
    wrong = json.loads(ended.stdout)[1]
    assert (wrong["state"], wrong["whole"], "folded" in wrong, wrong["unsent"] > 10) == ("delivered", False, False, True)


@pytest.mark.parametrize("name", NAMES)
def test_the_site_file_says_what_was_agreed(name: str) -> None:
    written = tomllib.loads(site_file("http://127.0.0.1:1/fhir", agreed(name).rules))
    assert written["hospitals"]["demo"] == {"base_url": "http://127.0.0.1:1/fhir", "rules": agreed(name).rules}


def test_a_process_that_dies_at_its_start_is_told_with_its_last_words(cases: Path) -> None:
    ended = demo("--cases", str(cases), "--hospital", "no address")
    assert ended.returncode == 1
    assert "ended by itself" in ended.stderr
    assert "hospitals.demo.base_url" in ended.stderr
