"""`fhir-bridge rehearse` ends by itself with an exact ledger, and with 1 when a hospital doubles what no client can prevent."""

import json
import logging
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhir_bridge.cli import rehearsal
from fhir_bridge.cli.group import command
from fhir_bridge.sandbox import relay
from fhir_bridge.sandbox.faults import KINDS


@pytest.fixture(autouse=True)
def log_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


def rehearse(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["rehearse", "--minutes", "0.1", "--seed", "1", "--json", *arguments])


@pytest.mark.parametrize("like", ["hapi", "oracle", "athena"])
def test_a_day_with_every_fault_ends_with_an_exact_ledger(like: str) -> None:
    done = rehearse("--like", like)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
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
