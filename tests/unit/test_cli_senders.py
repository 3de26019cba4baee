"""What is told of a hospital's client with its key: kept, or refused with what is wrong, and then there is no client either."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from fhir_bridge import bootstrap
from fhir_bridge.cli.group import command
from fhir_bridge.settings import Settings
from fhir_bridge.store import senders
from fhir_bridge.store.senders import Sender

ORIGIN = "https://fhir.hospital.example"


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'cli.sqlite'}")
    monkeypatch.setenv("FHIR_BRIDGE_HOSPITAL", f"{ORIGIN}/r4")


def add(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(command, ["clients", "add", "general", *words])
    return found.exit_code, found.output.strip()


def test_what_is_told_of_a_sender_is_kept():
    words = ("--hospital", "hospital", "--origin", ORIGIN, "--messages-to", f"{ORIGIN}/r4/$process-message")
    assert add("--kind", "hospital", *words)[0] == 0
    store = bootstrap.store(Settings.from_environ())
    with store.reading() as tx:
        assert senders.of(tx, "default", "general") == Sender("default", "general", "hospital", ORIGIN, f"{ORIGIN}/r4/$process-message")
        assert senders.of(tx, "default", "nobody") == Sender("default", "nobody")
    store.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "hospital", "--hospital", "nowhere"], "--hospital: must be a hospital of the site; it has hospital"),
        (["--kind", "hospital", "--origin", f"{ORIGIN}/r4"], "--origin: must be like"),
        (["--kind", "hospital", "--origin", "fhir.hospital.example"], "--origin: must be like"),
        (["--kind", "hospital", "--origin", "https://user@hospital.example"], "--origin: must be like"),
        (["--kind", "hospital", "--messages-to", f"{ORIGIN}/m"], "--messages-to: must be an address at --origin"),
        (["--kind", "hospital", "--origin", ORIGIN, "--messages-to", f"{ORIGIN}.evil.example/m"], "--messages-to: must be"),
        (["--kind", "clinic", "--origin", ORIGIN], "--origin: is for --kind hospital"),
    ],
)
def test_what_cannot_be_is_refused_and_no_client_is_made(words: list[str], said: str):
    code, printed = add(*words)
    assert (code, printed.startswith(said)) == (1, True), printed
    assert CliRunner().invoke(command, ["clients", "list"]).output.strip() == "No client yet."
