"""`fhir-bridge mapping`: a site's templates and code tables, checked before they are used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import DEFAULT_VALUES, Settings

PARTS = ("templates", "codes")


@click.group("mapping")
def command() -> None:
    """Check templates and code tables."""


@command.command("check")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--site", help="Check with the $names of this site, and without FOLDER with its folder.")
@json_option
def check(folder: Path | None, site: str | None, as_json: bool) -> None:
    """Load the templates and tables of FOLDER over the shipped ones, and print what was loaded, or every fault with file and line.

    Without FOLDER the shipped ones alone are checked.
    """
    values: Mapping[str, str] = DEFAULT_VALUES
    if site is not None:
        settings = Settings.from_environ()
        if (described := settings.sites.get(site)) is None:
            raise Refused([Fault("--site", f"no site {site!r} is set; known: {', '.join(settings.sites)}")])
        values, folder = described.values, folder or described.mappings
    if folder and not any((folder / part).is_dir() for part in PARTS):
        raise Refused([Fault(str(folder), f"holds neither {'/ nor '.join(PARTS)}/; name a folder that has one of them")])
    kinds, mapping = bootstrap.loaded(folder, values)
    found: dict[str, Any] = {
        "templates": sorted({name.partition("[")[0] for name in mapping.templates}),
        "tables": sorted([*mapping.tables.codes, *mapping.tables.rows]),
        "from_folder": _files(folder),
        "readings": sorted(name for name in kinds.fields("session")["readings"][0]),
    }
    emit(found, as_json=as_json, text=lambda: _in_words(found, folder))


def _files(folder: Path | None) -> list[str]:
    return sorted(str(path.relative_to(folder)) for part in PARTS for path in (folder / part).glob("*.yaml")) if folder else []


def _in_words(found: dict[str, Any], folder: Path | None) -> str:
    lines = [f"{len(found['templates'])} templates and {len(found['tables'])} tables are in order"]
    lines += [f"  from {folder}: {name}" for name in found["from_folder"]]
    return "\n".join(lines)
