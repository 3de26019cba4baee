"""The image and the compose file, without an engine: what their commands do is done here by the same commands.

The commands are read from the files, so one that changes is run as changed, and one that appears without being known here fails.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_bridge.cli.group import COMMANDS

ROOT = Path(__file__).parent.parent
READY_SECONDS = 30


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line and not line.startswith("#")]


def _last(name: str) -> str:
    return [rest for found, rest in _instructions() if found == name][-1]


def _environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(_last("ENV")))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment filled as the Dockerfile fills /opt/bridge, from the files its build may see; nothing of the checkout."""
    folder = tmp_path_factory.mktemp("image")
    for kept in re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        source = ROOT / kept
        shutil.copytree(source, folder / "src" / kept) if source.is_dir() else shutil.copy(source, folder / "src" / kept)
    venv.create(folder / "bridge", with_pip=True)
    places = {"/tools/bin/pip": f"{sys.executable} -m pip", "/opt/bridge": str(folder / "bridge"), "/wheels": str(folder / "wheels")}
    for command in _runs():
        if "requirements" in command:  # filled below with what this environment holds from the same lock
            continue
        for place, here in places.items():
            command = command.replace(place, here)
        subprocess.run(["bash", "-c", command], cwd=folder / "src", check=True, capture_output=True)
    site = next((folder / "bridge/lib").glob("python*")) / "site-packages"
    (site / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bridge"


def _runs() -> list[str]:
    return [rest for name, rest in _instructions() if name == "RUN" and not rest.startswith("install --directory")]


def test_the_packages_come_from_the_locks_and_every_download_is_checked():
    fills = [command for command in _runs() if "requirements" in command]
    assert len(fills) == 2
    assert all("--require-hashes" in command and "--no-deps" in command for command in fills)
    assert "requirements-run.lock" in fills[1]
    assert "/opt/bridge" in fills[1]


def test_it_runs_as_nobody_in_particular_and_starts_the_service():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", _last("USER"))
    assert json.loads(_last("ENTRYPOINT")) == ["fhir-bridge"]
    assert json.loads(_last("CMD")) == ["serve"]
    assert not any("apt" in command or "curl" in command for command in _runs())


@pytest.fixture
def served(image: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The image's own command, with its own environment, running; yields that environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    home = tmp_path / "nowhere"
    home.mkdir(mode=0o500)  # a read-only root has no home to write to
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIR_BRIDGE_")} | _environment()
    environment |= {
        "PATH": f"{image}/bin:{os.environ['PATH']}",
        "HOME": str(home),
        "FHIR_BRIDGE_HOST": "127.0.0.1",
        "FHIR_BRIDGE_PORT": port,
    }
    environment["FHIR_BRIDGE_DATABASE_URL"] = f"sqlite:///{tmp_path / 'bridge.sqlite'}"
    command = [*json.loads(_last("ENTRYPOINT")), *json.loads(_last("CMD"))]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log) as process:
        try:
            yield environment
        finally:
            process.send_signal(getattr(signal, _last("STOPSIGNAL")))
            code = process.wait(90)
    assert code == 0, (tmp_path / "log").read_text()
    assert list(home.iterdir()) == []


def _healthy(environment: dict[str, str]) -> bool:
    check = json.loads(re.search(r"CMD (\[.*\])", _last("HEALTHCHECK")).group(1))
    check[0] = str(Path(environment["PATH"].split(":")[0], check[0]))
    return subprocess.run(check, env=environment, capture_output=True, check=False).returncode == 0


def test_the_service_becomes_healthy_and_ends_gently(served: dict[str, str]):
    end = time.monotonic() + READY_SECONDS
    while not (healthy := _healthy(served)) and time.monotonic() < end:
        time.sleep(0.2)
    assert healthy
    assert not _healthy(served | {"FHIR_BRIDGE_PORT": "1"})


@pytest.mark.parametrize(("words", "told"), [(["map"], "resourceType"), (["plan", "--json", "--like", "epic"], "steps")])
def test_the_wheel_carries_the_mappings_and_the_hospitals(image: Path, tmp_path: Path, words: list[str], told: str):
    case = ROOT / "fixtures/cases/monitored-clinic-visit/session-1.json"
    done = subprocess.run([image / "bin/fhir-bridge", *words, case], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert told in json.loads(done.stdout)


def _services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


def test_every_command_of_the_compose_file_is_one_of_ours(image: Path, tmp_path: Path):
    commands = [service["command"] for service in _services().values() if service.get("build")]
    assert sorted(words[0] for words in commands) == ["db", "scheduler", "serve", "worker"]
    for words in commands:
        assert words[0] in COMMANDS
        done = subprocess.run([image / "bin/fhir-bridge", *words, "--help"], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_our_services_write_nowhere_and_wait_for_the_tables():
    ours = {name: service for name, service in _services().items() if service.get("build")}
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours.values())
    waiting = {name: service["depends_on"] for name, service in ours.items() if name != "migrate"}
    assert all(needs == {"migrate": {"condition": "service_completed_successfully"}} for needs in waiting.values())
    settings = {name for service in ours.values() for name in service["environment"]}
    assert settings == {"FHIR_BRIDGE_DATABASE_URL", "FHIR_BRIDGE_AUDIT_KEY", "FHIR_BRIDGE_HOSPITAL"}
