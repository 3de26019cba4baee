"""Explain: the line of every leaf, true percentages, and nothing of a patient in a summary."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_bridge import documents
from fhir_bridge.cli.group import command
from fhir_bridge.sync.coverage import figures

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "fixtures" / "cases"
VISIT = CASES / "monitored-clinic-visit" / "session-1.json"
RECORDS = sorted(path for path in CASES.glob("*/*.json") if not path.name.endswith(".fhir.json"))
STRANGER = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "3"},
    "name": [{"family": "Secretia", "use": "official"}],
    "gender": "F",
    "address": [{"line": ["1 Hidden Street"], "district": "Hidden"}],
}


def run(*arguments: str, content: bytes = b"") -> Result:
    return CliRunner().invoke(command, ["explain", *arguments], input=content)


def data(*arguments: str, content: bytes = b"") -> Any:
    done = run(*arguments, "--json", content=content)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_every_leaf_of_what_we_write_is_spoken_of() -> None:
    found = data(str(VISIT))
    assert (found["what"], found["percent"]) == ("record", 100)
    mapped = CliRunner().invoke(command, ["map", str(VISIT)])
    fhir = data("-", content=mapped.stdout_bytes)
    assert (fhir["what"], fhir["percent"]) == ("FHIR", 100)


def test_a_leaf_of_a_record_names_the_template_lines_it_goes_to() -> None:
    leaves = {leaf["path"]: leaf for leaf in data(str(VISIT))["leaves"]}
    assert leaves["readings[0].blood_pressure.systolic"]["is"] == ["blood-pressure"]
    (line,) = leaves["readings[0].blood_pressure.systolic"]["lines"]
    name, _, number = line.partition(":")
    assert "systolic | quantity" in (ROOT / "mappings/templates" / name).read_text().splitlines()[int(number) - 1]


def test_a_leaf_of_a_strangers_resource_names_its_field_or_the_reason() -> None:
    found = data("-", content=documents.dumps(STRANGER))
    leaves = {leaf["path"]: leaf for leaf in found["leaves"]}
    assert leaves["Patient.name[0].family"]["is"] == ["patient.family_name"]
    assert leaves["Patient.name[0].use"]["reason"] == "nothing speaks of it"
    assert "table gender" in leaves["Patient.gender"]["reason"]
    assert found["unknown_codes"] == [{"table": "gender", "code": "F", "count": 1}]
    assert (found["spoken"], found["leaves"][0]["path"]) == (3, "Patient.resourceType")
    assert not [path for path in leaves if path in ("Patient.id", "Patient.meta.versionId")]


def test_a_refused_resource_has_no_leaf_that_counts() -> None:
    found = data("-", content=documents.dumps(STRANGER | {"implicitRules": "http://example.test/x"}))
    assert (found["spoken"], found["percent"]) == (0, 0)
    assert all("implicitRules" in leaf["reason"] for leaf in found["leaves"])


def test_the_summary_of_our_fixtures_is_whole_for_what_we_write_and_true_for_the_rest() -> None:
    found = data("--summary", str(ROOT / "fixtures"))
    cases = {name: one["percent"] for name, one in found["documents"].items() if name.startswith("cases/")}
    ours = {name: percent for name, percent in cases.items() if "/inbound/" not in name}  # what a hospital writes is its own
    assert ours.keys() >= {str(path.relative_to(ROOT / "fixtures")) for path in RECORDS}
    assert set(ours.values()) == {100}
    assert 0 < found["folders"]["hapi"]["percent"] < 100
    assert found["whole"]["percent"] < 100
    assert found["whole"]["leaves"] == sum(one["leaves"] for one in found["documents"].values())
    places = [one["path"] for one in found["unspoken"]]
    assert sum(one["count"] for one in found["unspoken"]) == found["whole"]["leaves"] - found["whole"]["spoken"]
    assert not [path for path in places if "[" in path or "ofType" in path]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A hospital's export: two patients in lines, a vital sign nobody knows, a note, and a file that is no JSON."""
    shutil.copy(VISIT, tmp_path / "visit.json")
    (tmp_path / "patients.ndjson").write_bytes(documents.dumps(STRANGER) + b"\n" + documents.dumps(STRANGER) + b"\n")
    glucose = {"coding": [{"system": "http://loinc.org", "code": "15074-8"}], "text": "Secretia's glucose"}
    (tmp_path / "glucose.json").write_bytes(documents.dumps({"resourceType": "Observation", "status": "final", "code": glucose}))
    (tmp_path / "note.json").write_bytes(b'"Secretia called"')
    (tmp_path / "broken.json").write_bytes(b"{")
    return tmp_path


def test_a_summary_counts_by_document_folder_place_and_code(export: Path) -> None:
    found = data("--summary", str(export))
    assert found["documents"]["patients.ndjson"]["documents"] == 2
    assert {"path": "Patient.name.use", "reason": "nothing speaks of it", "count": 2} in found["unspoken"]
    assert {"table": "gender", "code": "F", "count": 2} in found["unknown_codes"]
    assert {"table": "Observation.code", "code": "http://loinc.org|15074-8", "count": 1} in found["unknown_codes"]
    assert [one["file"] for one in found["unread"]] == ["broken.json", "note.json"]


def test_no_value_of_a_patient_is_printed(export: Path) -> None:
    for arguments in (("--summary", str(export)), ("--summary", str(export), "--json"), (str(export / "patients.ndjson"),)):
        printed = run(*arguments).output
        assert "Secretia" not in printed and "Hidden" not in printed


@pytest.mark.parametrize("width", ["20", "40", "200"])
def test_on_a_narrow_terminal_no_path_is_cut(width: str) -> None:
    arguments = [sys.executable, "-m", "fhir_bridge", "explain", str(VISIT)]
    done = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "COLUMNS": width})
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= int(width) for line in done.stdout.splitlines())
    assert "…" not in done.stdout


def test_wrong_usage_ends_with_two_and_what_cannot_be_read_with_one(tmp_path: Path) -> None:
    assert run(str(tmp_path)).exit_code == 2
    assert run("--summary", str(VISIT)).exit_code == 2
    assert run(str(tmp_path / "missing.json")).exit_code == 2
    assert run("--summary", str(tmp_path)).exit_code == 1
    for content in (b"{", b"[]", b"{}", b"7", b'{"id": "x"}'):
        assert run("-", content=content).exit_code == 1


def test_a_percentage_is_a_hundred_only_when_it_is_all_of_them() -> None:
    assert figures(99_999, 100_000)["percent"] == 99.9
    assert (figures(3, 3)["percent"], figures(0, 7)["percent"], figures(0, 0)["percent"]) == (100, 0, 100)
