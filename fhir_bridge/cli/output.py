"""Where words go: data to stdout, everything said about it to stderr; `--json` for programs."""

from collections.abc import Callable
from typing import Any, BinaryIO

import click

from fhir_bridge import documents

json_option = click.option("--json", "as_json", is_flag=True, help="Print the data as one line of JSON.")
site_option = click.option("--site", default="default", show_default=True, help="The site whose mapping and time zone apply.")
file_argument = click.argument("file", type=click.File("rb"))


def emit(document: Any, *, as_json: bool, text: Callable[[], str] | None = None) -> None:
    """Print `document` on stdout: as one line of JSON, or for people as `text()` (indented JSON when there is none)."""
    if as_json:
        click.echo(documents.dumps(document).decode())
    else:
        click.echo(documents.pretty(document) if text is None else text())


def say(message: str) -> None:
    """Tell the person at the terminal, not the program behind the pipe."""
    click.echo(message, err=True)


def read(file: BinaryIO) -> Any:
    """The JSON document in `file`; raises `Refused`."""
    return documents.loads(file.read())
