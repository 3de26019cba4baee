"""What is set wrong is said at once and by name; what is secret is never shown."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fhir_bridge.errors import Refused
from fhir_bridge.settings import DEFAULT_SITE, Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("FHIR_BRIDGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FHIR_BRIDGE_CONFIG", str(tmp_path / "bridge.toml"))
    return tmp_path / "bridge.toml"


def _faults() -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        Settings.from_environ()
    return {fault.path: fault.message for fault in refused.value.faults}


def test_nothing_set_gives_sqlite_one_site_without_a_zone_and_no_hospital() -> None:
    settings = Settings.from_environ()
    assert settings.database_url.reveal() == "sqlite:///var/fhir_bridge.sqlite"
    assert settings.sites[DEFAULT_SITE].zone is None
    assert settings.hospitals == {}


def test_every_fault_of_the_environment_and_the_file_is_reported_at_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_PORT", "eighty")
    config.write_text(
        '[sites.north]\nzone = "New York"\nhospitals = ["gone"]\nmappings = "nowhere"\ncolour = "red"\n'
        '[hospitals.general]\nbase_url = "fhir.hospital.example"\nsign_in = "bearer"\n'
    )
    assert set(_faults()) == {
        "FHIR_BRIDGE_PORT",
        "sites.north.zone",
        "sites.north.hospitals",
        "sites.north.mappings",
        "sites.north.colour",
        "hospitals.general.base_url",
        "hospitals.general.token",
    }


def test_a_config_that_is_not_there_is_a_fault_of_its_variable(config: Path) -> None:
    assert "FHIR_BRIDGE_CONFIG" in _faults()


def test_networks_of_ours_are_named_before_strangers_addresses_may_reach_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_OUTSIDE_NETWORKS", "10.1.2.0/24, fd00::/8")
    assert Settings.from_environ().outside_networks == ("10.1.2.0/24", "fd00::/8")
    monkeypatch.setenv("FHIR_BRIDGE_OUTSIDE_NETWORKS", "10.1.2.3/24")
    monkeypatch.setenv("FHIR_BRIDGE_OUTSIDE_CA", str(tmp_path / "gone.pem"))
    assert set(_faults()) == {"FHIR_BRIDGE_OUTSIDE_NETWORKS", "FHIR_BRIDGE_OUTSIDE_CA"}


@pytest.mark.parametrize("said", ["bridge.example", "https://bridge.example/path", "ftp://bridge.example", "https://a:b@bridge.example"])
def test_our_own_address_has_no_path(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_PUBLIC_URL", "https://bridge.example:8443/")
    assert Settings.from_environ().public_url == "https://bridge.example:8443"
    monkeypatch.setenv("FHIR_BRIDGE_PUBLIC_URL", said)
    with pytest.raises(Refused, match="FHIR_BRIDGE_PUBLIC_URL"):
        Settings.from_environ()


def test_a_call_may_not_last_as_long_as_a_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_LEASE_SECONDS", "10")
    assert "shorter than LEASE_SECONDS" in _faults()["FHIR_BRIDGE_DEADLINE_SECONDS"]


def test_a_site_knows_its_zone_and_sends_to_every_hospital_unless_it_names_some(config: Path) -> None:
    config.write_text(
        '[sites.north]\nzone = "America/New_York"\nvalues.system = "https://north.example/id"\n'
        '[sites.south]\nhospitals = ["b"]\n'
        '[hospitals.a]\nbase_url = "https://a.example/r4"\n[hospitals.b]\nbase_url = "https://b.example/r4"\n'
    )
    sites = Settings.from_environ().sites
    assert sites["north"].zone == ZoneInfo("America/New_York")
    assert sites["north"].values["system"] == "https://north.example/id"
    assert sites["north"].hospitals == ("a", "b")
    assert sites["south"].hospitals == ("b",)


def test_a_secret_comes_from_a_file_and_never_shows(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config.parent / "token").write_text("canary-token\n")
    (config.parent / "url").write_text("postgresql://bridge:canary-password@db.example/bridge\n")
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL_FILE", str(config.parent / "url"))
    config.write_text('[hospitals.a]\nbase_url = "https://a.example/r4"\nsign_in = "bearer"\ntoken_file = "token"\n')
    settings = Settings.from_environ()
    assert settings.hospitals["a"].secrets["token"].reveal() == "canary-token"
    assert "canary-password" in settings.database_url.reveal()
    assert "canary" not in f"{settings!r} {settings.database_url} {settings.hospitals['a'].secrets['token']}"


def test_one_hospital_can_be_named_by_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_HOSPITAL", "http://hospital.example/fhir")
    settings = Settings.from_environ()
    assert settings.hospitals["hospital"].base_url == "http://hospital.example/fhir"
    assert settings.sites[DEFAULT_SITE].hospitals == ("hospital",)
