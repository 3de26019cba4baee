"""What `deploy/` says is so: every command is one of ours, every setting is known, and every promise of the image is kept there too."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from databases import _administer
from sqlalchemy import create_engine, text
from test_docs import SETTING

from fhir_bridge.cli.group import COMMANDS, command
from fhir_bridge.settings import Settings
from fhir_bridge.store import on_postgresql

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
GRACE_SECONDS = 90
USER = 10001  # the Dockerfile's
PARTS = ("web", "worker", "scheduler", "migrate")


def _known_settings() -> set[str]:
    names = {f"FHIR_BRIDGE_{name}" for name in SETTING.findall((ROOT / "fhir_bridge/settings.py").read_text())}
    return names | {f"{name}_FILE" for name in ("FHIR_BRIDGE_DATABASE_URL", "FHIR_BRIDGE_AUDIT_KEY")}


def _manifests() -> dict[tuple[str, str], dict[str, Any]]:
    found = [one for path in sorted(DEPLOY.glob("kubernetes/*.yaml")) for one in yaml.safe_load_all(path.read_text())]
    named = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(named) == len(found)
    return named


def _pods() -> dict[str, dict[str, Any]]:
    """Each workload's pod, by its component."""
    pods = [one["spec"]["template"] for one in _manifests().values() if "template" in one.get("spec", {})]
    return {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["spec"] for pod in pods}


def _container(part: str) -> dict[str, Any]:
    [container] = _pods()[part]["containers"]
    return dict(container)


def _services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "compose-scale.yaml").read_text())["services"]
    return found


def _ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in _services().items() if service.get("image") == "fhir-bridge"}


def _is_one_of_ours(words: list[str]) -> None:
    assert words[0] in COMMANDS
    assert CliRunner().invoke(command, [*words, "--help"]).exit_code == 0, words


def test_there_are_doors_workers_schedulers_and_a_migration() -> None:
    assert set(_pods()) == set(PARTS)
    kinds = {part: kind for part in PARTS for kind, name in _manifests() if name == f"fhir-bridge-{part}" and kind in ("Deployment", "Job")}
    assert kinds == {"web": "Deployment", "worker": "Deployment", "scheduler": "Deployment", "migrate": "Job"}


@pytest.mark.parametrize("part", PARTS)
def test_every_pod_runs_a_command_of_ours(part: str) -> None:
    container = _container(part)
    _is_one_of_ours(container["args"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        words = container.get(probe, {}).get("exec", {}).get("command")
        if words:
            assert words[0] == "fhir-bridge"
            _is_one_of_ours(words[1:])


@pytest.mark.parametrize("part", PARTS)
def test_every_pod_runs_as_nobody_on_a_read_only_root(part: str) -> None:
    pod, container = _pods()[part], _container(part)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (USER, USER)
    assert f"USER {USER}:{USER}" in (ROOT / "Dockerfile").read_text()
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize("part", ["web", "worker", "scheduler"])
def test_every_pod_has_the_time_to_end_well(part: str) -> None:
    assert _pods()[part]["terminationGracePeriodSeconds"] == GRACE_SECONDS


def test_what_the_probes_ask_is_answered() -> None:
    routes = (ROOT / "fhir_bridge/web/operations.py").read_text()
    container = _container("web")
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert f'"{asked["path"]}"' in routes
        assert asked["port"] in ports
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("part", PARTS)
def test_what_a_pod_refers_to_is_there(part: str) -> None:
    pod, container, there = _pods()[part], _container(part), _manifests()
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    for source in container["envFrom"]:
        assert ("ConfigMap", source["configMapRef"]["name"]) in there
    assert ("ConfigMap", volumes["sites"]["configMap"]["name"]) in there
    assert ("Secret", volumes["secrets"]["secret"]["secretName"]) in there


def test_every_deployment_finds_its_pods() -> None:
    for (kind, name), one in _manifests().items():
        selector = one["spec"].get("selector", {}) if kind in ("Deployment", "Service", "PodDisruptionBudget") else {}
        wanted = selector.get("matchLabels", selector)
        if kind in ("Deployment", "Service", "PodDisruptionBudget"):
            part = wanted["app.kubernetes.io/component"]
            assert part in PARTS, name
            labels = _manifests()[("Deployment", f"fhir-bridge-{part}")]["spec"]["template"]["metadata"]["labels"]
            assert wanted.items() <= labels.items()


def test_the_example_settings_are_ones_the_bridge_starts_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = _manifests()
    settings = there[("ConfigMap", "fhir-bridge")]["data"]
    assert set(settings) <= _known_settings()
    files = there[("Secret", "fhir-bridge")]["stringData"] | there[("ConfigMap", "fhir-bridge-sites")]["data"]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    mounts = {mount["mountPath"] for mount in _container("web")["volumeMounts"]}
    for name, value in settings.items():
        path = Path(value)
        if path.is_absolute():
            assert str(path.parent) in mounts
            value = str(tmp_path / path.name)
        monkeypatch.setenv(name, value)
    found = Settings.from_environ()
    assert found.database_url.reveal() == files["database-url"]
    assert set(found.hospitals) == {"general"}


def test_every_service_of_the_compose_file_runs_a_command_of_ours_with_known_settings() -> None:
    assert {name: service["command"] for name, service in _ours().items()} == {
        "migrate": ["db", "upgrade"],
        "bridge": ["serve"],
        "worker": ["worker"],
        "scheduler": ["scheduler"],
    }
    for service in _ours().values():
        _is_one_of_ours(service["command"])
        assert set(service["environment"]) <= _known_settings()
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["stop_grace_period"] == f"{GRACE_SECONDS}s"


def test_two_workers_listen_at_the_database_itself_and_the_doors_share_connections() -> None:
    ours = _ours()
    assert ours["worker"]["deploy"]["replicas"] == 2
    hosts = {name: service["environment"]["FHIR_BRIDGE_DATABASE_URL"].rpartition("@")[2] for name, service in ours.items()}
    assert hosts == {"worker": "db/bridge", "scheduler": "db/bridge", "migrate": "db/bridge", "bridge": "pgbouncer:6432/bridge"}
    pool = _services()["pgbouncer"]["environment"]
    assert (pool["POOL_MODE"], pool["LISTEN_PORT"]) == ("transaction", "6432")


def test_the_role_is_given_what_each_connection_sets(postgresql_cluster: str) -> None:
    url = f"{postgresql_cluster}/postgres"
    lines = [line for line in (DEPLOY / "postgresql-role.sql").read_text().splitlines() if not line.startswith("--")]
    _administer(url, "DROP ROLE IF EXISTS bridge", "CREATE ROLE bridge", *lines)
    engine = create_engine(url)
    with engine.connect() as connection:
        [given] = connection.scalars(text("SELECT rolconfig FROM pg_roles WHERE rolname = 'bridge'")).all()
    engine.dispose()
    assert {each.lower() for each in given} == {f"{name}={value}".lower() for name, value in on_postgresql.SESSION.items()}


def test_a_header_of_a_file_names_files_that_exist() -> None:
    for path in [*DEPLOY.glob("*.yaml"), *DEPLOY.glob("kubernetes/*.yaml")]:
        for word in shlex.split(" ".join(line[1:] for line in path.read_text().splitlines() if line.startswith("#")).replace("'", "")):
            name = word.strip(".,;:`()")
            if name.startswith(("docs/", "tests/", "deploy/")):
                assert (ROOT / name).exists(), (path.name, name)
