"""`fhir-bridge sessions`: many sessions at once, from a file."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fhir_bridge import clock
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, say, site_option
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import importing
from fhir_bridge.sync.importing import Files, Position

#: seconds between two lines of progress, on a terminal (where each takes the place of the last) and in a log
TERMINAL_SECONDS, LOG_SECONDS = 0.5, 10.0


@click.group("sessions")
def command() -> None:
    """Import sessions from a file of many."""


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@site_option
@json_option
def import_(file: Path, site: str, as_json: bool) -> None:
    """Accept the session in each line of FILE (NDJSON); `worker` or `sync` delivers them.

    Continues where it was stopped. Refused lines go with their reasons to FILE's name with `.refused.ndjson`, and end with exit code 1.
    """
    files, client = Files(file), Client(site, "import", "sessions import", "clinic", clock.utc_now())
    begun = importing.start_of(files)
    if begun.line:
        say(f"continues after line {begun.line}")
    done = importing.run(opened.bridge(site), client=client, files=files, progress=_shown(begun, file.stat().st_size))
    found = _result(done, files)
    emit(found, as_json=as_json, text=lambda: f"{done.accepted} accepted, {done.refused} refused")
    if done.refused:
        say(f"the refused lines and their reasons are in {files.refused}")
        raise click.exceptions.Exit(1)


def _result(done: Position, files: Files) -> dict[str, Any]:
    found: dict[str, Any] = {"lines": done.line, "accepted": done.accepted, "refused": done.refused}
    return found | {"refused_file": str(files.refused)} if done.refused else found


def _shown(begun: Position, size: int) -> Callable[[Position], None]:
    """Tells on stderr how far it is, how fast it goes and how long it will take, every now and then and at the end."""
    started = last = time.monotonic()
    terminal = sys.stderr.isatty()

    def show(at: Position) -> None:
        nonlocal last
        now = time.monotonic()
        if at.offset < size and now - last < (TERMINAL_SECONDS if terminal else LOG_SECONDS):
            return
        last = now
        words = progress_in_words(at, begun=begun, size=size, seconds=now - started)
        click.echo(f"\r{words}\x1b[K" if terminal and at.offset < size else words, err=True, nl=not terminal or at.offset >= size)

    return show


def progress_in_words(at: Position, *, begun: Position, size: int, seconds: float) -> str:
    """`1200 lines, 3 refused, 37 %, 310/s, 0:00:04 left`; the time left is by bytes, since lines differ in length."""
    rate = (at.line - begun.line) / seconds if seconds else 0.0
    speed = (at.offset - begun.offset) / seconds if seconds else 0.0
    left = int((size - at.offset) / speed) if speed else 0
    clock_time = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
    return f"{at.line} lines, {at.refused} refused, {100 * at.offset // size} %, {rate:.0f}/s, {clock_time} left"
