"""A site adapts the mapping with a folder of its own: the walk of docs/adding-a-vital-sign.md, word for word, and its neighbours."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from fhir_bridge import bootstrap
from fhir_bridge.cli.group import command
from fhir_bridge.settings import Settings
from fhir_bridge.web import clinic_docs

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs/adding-a-vital-sign.md").read_text()
SESSION = json.loads(re.search(r"```json\n(.*?)```", DOC, re.DOTALL)[1])  # type: ignore[index]
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", DOC, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file the document shows, made as the document says."""
    for name, text in re.findall(r"```(?:yaml|toml)\n# (\S+)\n(.*?)```", DOC, re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "session.json").write_text(json.dumps(SESSION))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FHIR_BRIDGE_CONFIG", "bridge.toml")
    return tmp_path


def run(*arguments: str, content: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=content)


def output(*arguments: str, content: str = "") -> Any:
    done = run(*arguments, content=content)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def vital(name: str) -> dict[str, Any]:
    """The site's Observations of one code, as `map` writes them."""
    entries = output("map", "session.json", "--json")["entry"]
    return next(one["resource"] for one in entries if name in json.dumps(one["resource"].get("code", {})))


def test_every_command_of_the_walk_does_what_it_says(walk: Path) -> None:
    assert {line.split()[0] for line in COMMANDS} == {"export", "fhir-bridge"}
    for line in (line for line in COMMANDS if line.startswith("fhir-bridge ")):
        done = run(*line.split()[1:])
        assert (done.exit_code, done.stderr) == (0, ""), line


def test_the_new_vital_sign_goes_to_fhir_and_back(walk: Path) -> None:
    written = vital("end-tidal-co2")
    assert written["valueQuantity"] == {"value": 38, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
    back = output("map", "--back", "-", "--json", content=run("map", "session.json").stdout)
    read = [{name: value for name, value in reading.items() if name != "state"} for reading in back["readings"]]
    assert read == SESSION["readings"]


def test_the_new_vital_sign_is_explained_to_the_last_leaf(walk: Path) -> None:
    found = output("explain", "session.json", "--json")
    assert found["percent"] == 100
    lines = {leaf["path"]: leaf["lines"] for leaf in found["leaves"]}
    assert lines["readings[0].end_tidal_co2"] == ["our-vital-signs.yaml:14"]


def test_the_schema_and_openapi_know_the_new_vital_sign(walk: Path) -> None:
    schema = output("schema", "session")
    assert "end_tidal_co2" in schema["properties"]["readings"]["items"]["properties"]
    assert jsonschema_rs.is_valid(schema, SESSION)
    shown = clinic_docs.schemas([bootstrap.site(Settings.from_environ(), "default")])["session"]
    assert shown["properties"] == schema["properties"]
    assert "end_tidal_co2" not in json.dumps(clinic_docs.schemas([]))


def test_the_door_refuses_the_new_vital_sign_outside_its_bounds(walk: Path) -> None:
    SPOILT = SESSION | {"readings": [SESSION["readings"][0] | {"end_tidal_co2": 400}]}
    done = run("map", "-", content=json.dumps(SPOILT))
    assert (done.exit_code, done.stderr) == (1, "readings[0].end_tidal_co2: must lie between 0 and 150; check number and unit\n")


def test_without_the_folder_nobody_knows_the_field(walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FHIR_BRIDGE_CONFIG")
    assert run("map", "session.json").exit_code == 1


def test_a_row_that_declares_half_a_field_is_named_by_file_and_line(walk: Path) -> None:
    table = walk / "our-mappings/codes/our-vital-signs.yaml"
    table.write_text(table.read_text().replace("low: 0, high: 150", "high: high"))
    done = run("mapping", "check", "our-mappings")
    assert done.exit_code == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == ["our-vital-signs.yaml:2"] * 2


def test_every_fault_of_a_folder_is_named_by_file_and_line(walk: Path) -> None:
    template = walk / "our-mappings/templates/our-vital-signs.yaml"
    broken = (
        template.read_text()
        .replace("reading.taken_at | dateTime", "reading.taken | dateTime")
        .replace("concept absence", "concept absences")
    )
    template.write_text(broken)
    done = run("mapping", "check", "our-mappings")
    assert (done.exit_code, done.stdout) == (1, "")
    found = {line.partition(": ")[0] for line in done.stderr.splitlines()}
    assert {"our-vital-signs.yaml:13", "our-vital-signs.yaml:15"} <= found


def test_check_tells_what_was_loaded_and_without_a_folder_checks_what_is_shipped(walk: Path) -> None:
    found = output("mapping", "check", "our-mappings", "--json")
    assert found["from_folder"] == ["codes/our-vital-signs.yaml", "templates/our-vital-signs.yaml"]
    assert "end_tidal_co2" in found["readings"]
    shipped = output("mapping", "check", "--json")
    assert shipped["from_folder"] == [] and "our-vital-signs" not in shipped["templates"]
    assert run("mapping", "check", "our-mappings/codes").exit_code == 1
    assert run("mapping", "check", "nowhere").exit_code == 2


def test_a_flowsheet_code_stands_beside_loinc(walk: Path) -> None:
    template = walk / "our-mappings/templates/vital-signs.yaml"
    shutil.copy(ROOT / "mappings/templates/vital-signs.yaml", template)
    row = "{system: 'urn:oid:2.999.7', code: FLO-$field}"
    template.write_text(template.read_text().replace("display: $display}]}", f"display: $display}}, {row}]}}"))
    assert vital("8867-4")["code"]["coding"][1] == {"system": "urn:oid:2.999.7", "code": "FLO-heart_rate"}


def test_a_site_has_an_identifier_system_of_its_own(walk: Path) -> None:
    with (walk / "bridge.toml").open("a") as file:
        file.write('[sites.default.values]\nsystem = "urn:oid:2.999.8"\n')
    systems = {one["system"] for one in vital("8867-4")["identifier"]}
    assert systems == {"urn:oid:2.999.8/vital"}
