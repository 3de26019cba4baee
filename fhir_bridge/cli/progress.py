"""How far something is, on stderr: on a terminal one line that is written over, in a log a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

#: seconds between two lines
TERMINAL_SECONDS, LOG_SECONDS = 0.1, 10.0


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives what tells the newest line; a terminal's line is cleared at the end."""
    terminal = sys.stderr.isatty()
    last = -LOG_SECONDS

    def tell(words: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < (TERMINAL_SECONDS if terminal else LOG_SECONDS):
            return
        last = now
        click.echo(f"\r{words}\x1b[K" if terminal else words, err=True, nl=not terminal)

    try:
        yield tell
    finally:
        if terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
