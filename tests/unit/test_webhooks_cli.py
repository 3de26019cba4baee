"""`fhir-bridge webhooks` from the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from receivers import receiving

from fhir_bridge import documents
from fhir_bridge.cli.group import command
from fhir_bridge.store import audit
from fhir_bridge.store.database import Store


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'bridge.sqlite'}")
    monkeypatch.setenv("FHIR_BRIDGE_OUTSIDE_NETWORKS", "127.0.0.0/8")
    return lambda *words: CliRunner().invoke(command, ["webhooks", *words])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return documents.loads(result.stdout.encode())


def test_a_receiver_is_added_tried_rotated_and_removed(run: Callable[..., Result]) -> None:
    with receiving() as receiver:
        added = told(run("add", f"http://127.0.0.1:{receiver.port}/hook", "--json"))
        assert added["secret"].startswith("whsec_")
        assert run("list").stdout == f"{added['id']}  {added['url']}  active  0 waiting, 0 dead, 1 behind\n"
        assert run("test", added["id"]).stdout == f"{added['id']} answered 200\n"
    gone = run("test", added["id"])
    assert (gone.exit_code, "did not accept the connection" in gone.stderr) == (1, True)
    assert told(run("rotate", added["id"], "--json"))["secret"] != added["secret"]
    assert told(run("retry", added["id"], "--json"))["retried"] == 0
    assert told(run("show", added["id"], "--json"))["messages"] == []
    assert run("remove", added["id"]).exit_code == 0
    assert run("list").stdout == "No webhook yet.\n"


def test_what_is_due_is_sent_once_for_those_who_run_no_worker(run: Callable[..., Result], tmp_path: Path) -> None:
    with receiving() as receiver:
        added = told(run("add", f"http://127.0.0.1:{receiver.port}/hook", "--json"))
        store = Store(f"sqlite:///{tmp_path / 'bridge.sqlite'}")
        with store.transaction() as tx:
            audit.write(tx, tenant="default", actor="c", action="accept", subject="session/S-1", detail={}, now=tx.now, key=b"k" * 32)
        store.close()
        assert [told(run("send", "--json"))["turns"] for _ in range(2)] == [1, 0]
        assert [path for _, path, _ in receiver.seen] == ["/hook"]
        assert "0 waiting, 0 dead, 0 behind" in run("list").stdout
        assert added["id"] in receiver.with_headers[0]["webhook-id"]


@pytest.mark.parametrize("words", [("add", "http://hook.example/"), ("show", "wh-1"), ("add", "https://127.0.0.1/", "--after", "5")])
def test_what_cannot_be_is_refused_with_the_reason(run: Callable[..., Result], words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr
