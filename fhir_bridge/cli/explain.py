"""`fhir-bridge explain`: the template line every leaf of a document belongs to, and how much of it the mapping speaks of."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from fhir_bridge import bootstrap, documents
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.errors import BridgeError
from fhir_bridge.settings import Settings
from fhir_bridge.sync import coverage, survey
from fhir_bridge.sync.coverage import Explained, Leaf
from fhir_bridge.sync.survey import Survey

#: as many lines of a long list as a person reads; `--json` has all
SHOWN = 40
Shown = TypeVar("Shown", Explained, Survey)


@click.command("explain")
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@click.option("--summary", is_flag=True, help="FILE is a folder: print percentages, and what nothing speaks of, counted.")
@site_option
@json_option
def command(file: Path, summary: bool, site: str, as_json: bool) -> None:
    """Print, for each leaf of the record or FHIR document in FILE, the template line it belongs to, and the coverage."""
    if summary is not file.is_dir():
        raise click.UsageError("--summary wants a folder" if summary else f"{file} is a folder; say --summary")
    place = bootstrap.site(Settings.from_environ(), site)
    if summary:
        found = survey.of_folder(place, file)
        if not found.files:
            raise BridgeError(f"{file}: holds no clinic record and no FHIR")
        _show(found, as_json, _print_survey)
    else:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        _show(coverage.of_document(place, documents.loads(content)), as_json, _print_document)


def _show(found: Shown, as_json: bool, in_words: Callable[[Shown], None]) -> None:
    if as_json:
        emit(found.data(), as_json=True)
    else:
        in_words(found)


def _print_document(found: Explained) -> None:
    console = Console(highlight=False)
    table = _table("leaf of the " + found.what, "line", "goes to" if found.what == "record" else "is")
    for leaf in found.leaves:
        table.add_row(leaf.path, *_told(leaf))
    console.print(table)
    _print_codes(console, coverage.codes_data(found.unknown))
    console.print(_percentage(coverage.figures(found.spoken, len(found.leaves))), markup=False)


def _told(leaf: Leaf) -> tuple[str, str]:
    return (", ".join(leaf.lines), ", ".join(leaf.others) or "constant") if leaf.spoken else ("—", leaf.reason)


def _print_survey(found: Survey) -> None:
    console = Console(highlight=False)
    data = found.data()
    for title in ("documents", "folders"):
        table = _table(title, "leaves", "spoken of", numbers=2)
        for name, one in data[title].items():
            table.add_row(name, str(one["leaves"]), f"{one['percent']:g} %")
        console.print(table)
    _print_counted(console, "what nothing speaks of", [(one["path"], one["reason"], one["count"]) for one in data["unspoken"]])
    _print_codes(console, data["unknown_codes"])
    _print_counted(console, "neither record nor FHIR", [(one["file"], one["reason"], "") for one in data["unread"]])
    console.print(_percentage(data["whole"]), markup=False)


def _print_codes(console: Console, codes: list[dict[str, Any]]) -> None:
    _print_counted(console, "codes nobody knew", [(one["code"], one["table"], one["count"]) for one in codes])


def _print_counted(console: Console, title: str, rows: list[tuple[str, str, Any]]) -> None:
    if not rows:
        return
    table = _table(title, "", "count")
    for name, why, count in rows[:SHOWN]:
        table.add_row(name, why, str(count))
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"… and {len(rows) - SHOWN} more; --json has all")


def _table(*headers: str, numbers: int = 0) -> Table:
    """Columns that fold rather than cut: on a narrow terminal a path is still whole."""
    table = Table(show_edge=False, pad_edge=False)
    for index, header in enumerate(headers):
        table.add_column(header, overflow="fold", justify="right" if index >= len(headers) - numbers else "left")
    return table


def _percentage(figures: dict[str, Any]) -> str:
    return f"{figures['percent']:g} % spoken of: {figures['spoken']} of {figures['leaves']} leaves"
