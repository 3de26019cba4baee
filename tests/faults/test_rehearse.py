"""`fhir-bridge rehearse` ends by itself with an exact ledger, and with 1 when a hospital doubles what no client can prevent."""

import json
import logging
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_bridge.cli import rehearsal
from fhir_bridge.cli.group import command
from fhir_bridge.sandbox import relay
from fhir_bridge.sandbox.faults import KINDS
from fhir_bridge.sandbox.profile import NAMES


@pytest.fixture(autouse=True)
def log_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


SHORT = ("rehearse", "--minutes", "0.1", "--seed", "1", "--json")


def rehearse(*arguments: str) -> Result:
    return CliRunner().invoke(command, [*SHORT, *arguments])


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[int, str, str]]]:
    """A day at each hospital, all of them at once, for most of a rehearsal is waiting: its exit code, what it prints and what it says."""
    folder = tmp_path_factory.mktemp("days")
    begun = {like: _rehearsing(like, folder) for like in NAMES}

    def ended(like: str) -> tuple[int, str, str]:
        return begun[like].wait(600), (folder / f"{like}.out").read_text(), (folder / f"{like}.said").read_text()

    yield ended
    for process in begun.values():
        process.kill()
        process.wait()


def _rehearsing(like: str, folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / f"{like}.out").open("wb") as out, (folder / f"{like}.said").open("wb") as said:
        return subprocess.Popen([sys.executable, "-m", "fhir_bridge", *SHORT, "--like", like], stdout=out, stderr=said)


@pytest.mark.parametrize("like", NAMES)
def test_a_day_with_every_fault_ends_with_an_exact_ledger(days: Callable[[str], tuple[int, str, str]], like: str) -> None:
    code, out, said = days(like)
    assert code == 0, said
    told = json.loads(out)
    assert (told["lost"], told["duplicated"], told["swapped"]) == (0, 0, 0)
    assert told["accepted"] == told["held"] + told["stopped"] >= 8
    assert set(told["faults"]) == (KINDS.keys() | relay.KINDS.keys()) - set(told["left_out"])


def test_a_hospital_that_doubles_a_create_is_told_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rehearsal.NOT_PREVENTABLE, "epic", ())
    monkeypatch.setattr(rehearsal, "KINDS", {"twice": KINDS["twice"]})
    monkeypatch.setattr(relay, "KINDS", {"refused": relay.KINDS["refused"]})
    done = rehearse("--like", "epic")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["duplicated"] > 0


def test_a_hospital_in_a_box_fails_as_a_file_says(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text('[{"kind": "unavailable", "path": "/metadata"}]')
    serve = [sys.executable, "-m", "fhir_bridge", "sandbox", "serve", "--port", "0", "--faults", str(script)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        base = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError, match="503") as refused:
            urllib.request.urlopen(f"{base}/metadata")  # noqa: S310
        refused.value.close()
        with urllib.request.urlopen(f"{base}/metadata") as answer:  # noqa: S310
            assert answer.status == 200
        process.terminate()
