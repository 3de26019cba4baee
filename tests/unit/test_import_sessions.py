"""A file of many sessions goes through the clinic's door line by line: nothing lost by a kill, nothing kept in memory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhir_bridge import documents
from fhir_bridge.cli.group import command
from fhir_bridge.cli.sessions import progress_in_words
from fhir_bridge.errors import Refused
from fhir_bridge.store.database import Store
from fhir_bridge.store.tables import records
from fhir_bridge.sync import lines
from fhir_bridge.sync.importing import Position

SESSION = {
    "id": "S-1",
    "status": "completed",
    "patient": {"id": "P-1", "family_name": "Synthetic", "given_names": ["Exampla"], "birth_date": "1980-01-01", "sex": "female"},
    "started_at": "2026-03-02T09:00:00-05:00",
    "ended_at": "2026-03-02T11:00:00-05:00",
}


def session(number: int) -> bytes:
    return json.dumps(SESSION | {"id": f"S-{number}", "patient": SESSION["patient"] | {"id": f"P-{number % 7}"}}).encode()  # type: ignore[operator]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FHIR_BRIDGE_DATABASE_URL", f"sqlite:///{tmp_path}/bridge.sqlite")
    return tmp_path


def written(folder: Path, *found: bytes) -> Path:
    file = folder / "sessions.ndjson"
    file.write_bytes(b"".join(line + b"\n" for line in found))
    return file


def run(file: Path) -> Result:
    return CliRunner().invoke(command, ["sessions", "import", str(file), "--json"])


def stored(folder: Path) -> list[str]:
    store = Store(f"sqlite:///{folder}/bridge.sqlite")
    with store.reading() as tx:
        found = [str(row.id) for row in tx.rows(records.select())]
    store.close()
    return sorted(found)


def test_every_line_is_accepted_once_however_often_the_file_is_imported(folder: Path) -> None:
    file = written(folder, *map(session, range(5)))
    for _ in range(2):
        done = run(file)
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"lines": 5, "accepted": 5, "refused": 0})
    assert stored(folder) == [f"S-{number}" for number in range(5)]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("sessions.")) == ["sessions.ndjson"]


def test_refused_lines_stand_in_a_file_with_their_reasons_and_stop_no_other(folder: Path) -> None:
    nameless = json.dumps({**SESSION, "patient": {"id": "P-1"}}).encode()
    done = run(written(folder, session(1), b"{", b"", nameless, session(2), json.dumps({**SESSION, "ended_at": "x"}).encode()))
    assert done.exit_code == 1
    found = [documents.loads(line) for line in (folder / "sessions.refused.ndjson").read_bytes().splitlines()]
    assert [line["line"] for line in found] == [2, 4, 6]
    assert [fault["path"] for fault in found[2]["faults"]] == ["ended_at"]
    assert found[1]["text"] == nameless.decode()
    assert (folder / "sessions.refused.ndjson").stat().st_mode & 0o077 == 0
    assert stored(folder) == ["S-1", "S-2"]
    assert "Synthetic" not in done.stderr


def test_a_line_with_a_stored_session_of_another_content_is_refused(folder: Path) -> None:
    run(written(folder, session(1)))
    done = run(written(folder, session(1).replace(b"Exampla", b"Otherina")))
    assert json.loads(done.stdout)["refused"] == 1
    assert "higher version" in (folder / "sessions.refused.ndjson").read_text()


def test_an_import_that_was_stopped_goes_on_behind_the_last_kept_line(folder: Path) -> None:
    file = written(folder, *map(session, range(4)), b"{")
    begun = Position(head=_head(file), offset=len(session(0)) + 1 + len(session(1)) + 1, line=2, accepted=2)
    (folder / "sessions.ndjson.position").write_bytes(documents.dumps(_data(begun)))
    (folder / "sessions.refused.ndjson").write_text("what was written after the position was kept\n")
    done = run(file)
    assert json.loads(done.stdout) | {"refused_file": ""} == {"lines": 5, "accepted": 4, "refused": 1, "refused_file": ""}
    assert stored(folder) == ["S-2", "S-3"]
    assert len((folder / "sessions.refused.ndjson").read_text().splitlines()) == 1
    assert "continues after line 2" in done.stderr


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"head": "another file", "offset": 3}', b'{"unknown": 1}'])
def test_a_position_of_another_file_or_none_at_all_begins_at_the_beginning(folder: Path, kept: bytes) -> None:
    (folder / "sessions.ndjson.position").write_bytes(kept)
    assert json.loads(run(written(folder, session(1))).stdout)["accepted"] == 1


def _head(file: Path) -> str:
    return sha256(file.read_bytes()[:4096]).hexdigest()


def _data(position: Position) -> dict[str, Any]:
    return {name: getattr(position, name) for name in position.__slots__}


def importing(file: Path) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-m", "fhir_bridge", "sessions", "import", str(file), "--json"]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})


def test_a_killed_import_is_finished_by_the_next_one_with_nothing_lost_or_doubled(folder: Path) -> None:
    file = written(folder, *(session(number) if number % 50 else b"{" for number in range(600)))
    first = importing(file)
    position = folder / "sessions.ndjson.position"
    deadline = time.monotonic() + 60
    while not position.exists() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert position.exists()
    done = run(file)
    assert json.loads(done.stdout) | {"refused_file": ""} == {"lines": 600, "accepted": 588, "refused": 12, "refused_file": ""}
    assert len(stored(folder)) == 588
    assert len((folder / "sessions.refused.ndjson").read_text().splitlines()) == 12
    assert not position.exists()


PEAK = """
import resource, sys
from fhir_bridge.cli.group import command
command(["sessions", "import", sys.argv[1], "--json"], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_many_sessions_take_the_memory_of_few(folder: Path) -> None:
    few, many = (peak(written(folder, *map(session, numbers))) for numbers in (range(50), range(1000, 1700)))
    assert many <= 1.2 * few


def peak(file: Path) -> int:
    done = subprocess.run([sys.executable, "-c", PEAK, str(file)], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


# --- lines -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def short_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    yield


def test_a_line_longer_than_a_document_is_refused_and_the_next_one_read(folder: Path, short_lines: None) -> None:
    with written(folder, b'{"a":1}', b"x" * 95, b'{"b":2}').open("rb") as file:
        found = list(lines.read(file))
    assert [(line.number, line.cut) for line in found] == [(1, False), (2, True), (3, False)]
    assert found[-1].document() == {"b": 2}
    assert found[-1].end == (folder / "sessions.ndjson").stat().st_size
    with pytest.raises(Refused, match="longer"):
        found[1].document()


def test_the_last_line_may_end_without_a_line_break_and_windows_ones_are_none(folder: Path) -> None:
    (folder / "x.ndjson").write_bytes(b"{}\r\n\n{}")
    with (folder / "x.ndjson").open("rb") as file:
        assert [(line.number, line.text, line.end) for line in lines.read(file)] == [(1, b"{}", 4), (3, b"{}", 7)]


def test_progress_tells_rate_and_time_left() -> None:
    begun, at = Position("", offset=1000, line=10), Position("", offset=2000, line=110, refused=3)
    words = progress_in_words(at, begun=begun, size=6000, seconds=20)
    assert words == "110 lines, 3 refused, 33 %, 5/s, 0:01:20 left"
