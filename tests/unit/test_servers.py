"""Starting a real server fails in words: what is missing, or what the server said."""

from pathlib import Path

import pytest
import servers


def test_a_machine_without_a_jdk_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.Unavailable, match=r"no 'javac' \(apt-get install default-jdk-headless maven\)"):
        servers.build()


def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servers, "build", lambda: None)
    monkeypatch.setattr(servers, "command", lambda options, java: ["sh", "-c", "echo the port is taken >&2"])
    monkeypatch.delenv("FHIR_BRIDGE_HAPI", raising=False)
    with pytest.raises(RuntimeError, match="the port is taken"), servers.hapi():
        pytest.fail("it must not be given out")


def test_a_running_server_is_used_when_one_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FHIR_BRIDGE_HAPI", "http://127.0.0.1:8090/fhir/")
    with servers.hapi() as base_url:
        assert base_url == "http://127.0.0.1:8090/fhir"


def test_all_who_share_a_server_get_the_same_one_and_the_last_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("FHIR_BRIDGE_HAPI", "http://127.0.0.1:8090/fhir")
    with servers.shared_hapi(tmp_path) as first:
        monkeypatch.setenv("FHIR_BRIDGE_HAPI", "http://127.0.0.1:8091/fhir")
        with servers.shared_hapi(tmp_path) as second:
            assert first == second
    with servers.shared_hapi(tmp_path) as third:
        assert third == "http://127.0.0.1:8091/fhir"
