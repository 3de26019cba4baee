"""What the documents say is so: every command, setting and file they name exists, and every one that exists is named."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fhir_bridge.cli.group import COMMANDS, command

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = README + (ROOT / "docs/operations.md").read_text()
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
SETTING = re.compile(r"(?:env\.\w+\(|_env_secret\(env, )\"([A-Z_]+)\"")
HOSTS = (
    "pypi" + ".org",
    "python" + "hosted",
    "registry." + "npm",
    "repo.maven" + ".apache",
    "repo1." + "maven",
    "deb." + "debian",
    "/wo" + "rk/",
)


def _command_lines() -> list[str]:
    lines = "\n".join(CONSOLE).replace("\\\n", " ").splitlines()
    return [line.split("#")[0].strip() for line in lines if "fhir-bridge" in line]


def test_the_two_commands_a_newcomer_needs_are_there():
    assert {"make demo", "make test"} <= {line.split("#")[0].strip() for block in CONSOLE for line in block.splitlines()}


def test_every_make_target_named_exists_and_every_one_that_exists_has_a_recipe():
    targets = set(re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text()).group(1).split())
    assert set(re.findall(r"make (\w+)", "\n".join(CONSOLE))) <= targets
    for target in sorted(targets):
        assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0, target


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_has_help(name: str):
    assert re.search(rf"(fhir-bridge |`){name}\b", README), f"README.md does not name {name}"
    answer = CliRunner().invoke(command, [name, "--help"])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("line", _command_lines())
def test_every_command_line_of_the_readme_is_one(line: str):
    for part in line.split("|"):
        words = [word for word in shlex.split(part) if not word.startswith("export")]
        if words and words[0].endswith("fhir-bridge"):
            _assert_known(words[1:])


def _assert_known(words: list[str]) -> None:
    found: click.Command | None = command
    while isinstance(found, click.Group):
        found = found.get_command(click.Context(found), words.pop(0))
    assert found is not None, words
    known = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readmes_way_there_and_back_works():
    there, back = [line for line in _command_lines() if " map " in line]
    done = subprocess.run(["bash", "-o", "pipefail", "-c", back], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"S-MCV-1"' in done.stdout
    assert back.startswith(there)


def test_every_setting_is_documented_and_every_documented_one_exists():
    settings = {f"FHIR_BRIDGE_{name}" for name in SETTING.findall((ROOT / "fhir_bridge/settings.py").read_text())}
    sources = "".join(path.read_text() for path in ROOT.glob("fhir_bridge/**/*.py"))
    assert len(settings) > 5
    assert settings <= set(re.findall(r"FHIR_BRIDGE_[A-Z_]+", README))
    assert set(re.findall(r"FHIR_BRIDGE_[A-Z_]+(?<!_)", DOCS)) <= settings | set(re.findall(r"FHIR_BRIDGE_[A-Z_]+(?<!_)", sources))


def test_every_file_the_documents_name_exists():
    texts = {path: path.read_text() for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]}
    missing = {
        (path.name, named)
        for path, text in texts.items()
        for named in re.findall(r"`((?:fhir_bridge|tests|docs|mappings|fixtures|scripts)/[\w./-]+)`", text)
        if not (ROOT / named).exists()
    }
    missing |= {
        (path.name, link)
        for path, text in texts.items()
        for link in re.findall(r"\]\(([^):#]+)\)", text)
        if not (path.parent / link).exists()
    }
    assert missing == set()


def test_no_file_names_a_package_registry_or_a_machines_folder():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = {name: (ROOT / name).read_bytes() for name in listed if name and (ROOT / name).is_file()}
    assert {(name, host) for name, text in texts.items() for host in HOSTS if host.encode() in text} == set()
