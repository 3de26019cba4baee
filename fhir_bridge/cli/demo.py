"""`fhir-bridge demo`: the product's main job on real processes and real HTTP, told so that a person can follow it.

Starts a hospital in a box (unless an address of a real one is given) and the service with SQLite in a temporary folder, posts
every case over HTTP, waits until the worker delivered, reads the resources from the hospital's FHIR API, maps them back and
compares. Then plays the story of a referral from both sides. Ends with 0 only if every record was delivered, and came back equal:
at HAPI all of them, elsewhere those that the hospital holds whole as data.
"""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console

from fhir_bridge import bootstrap
from fhir_bridge.cli import demo_page
from fhir_bridge.cli.demo_loop import Loop
from fhir_bridge.cli.demo_service import Service, running_service
from fhir_bridge.cli.demo_story import KINDS, Story, told
from fhir_bridge.cli.output import json_option, say
from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.client import Client
from fhir_bridge.sandbox.profile import NAMES
from fhir_bridge.settings import Settings

PIPE_WIDTH = 120  # columns, where there is no terminal to ask


@click.command("demo")
@click.option("--cases", type=click.Path(exists=True, file_okay=False, path_type=Path), default="fixtures/cases", show_default=True)
@click.option("--hospital", help="FHIR base address of a real server.  [default: start the built-in hospital]")
@click.option(
    "--like", type=click.Choice(NAMES), default="hapi", show_default=True, help="Which server the built-in hospital behaves like."
)
@click.option("--serve", "keep", is_flag=True, help="Stay up afterwards, until Ctrl-C.")
@json_option
def command(cases: Path, hospital: str | None, like: str, keep: bool, as_json: bool) -> None:
    """Carry every case to a hospital and back, and print what happened."""
    with running_service(hospital=hospital, like=like) as service:
        say(f"Hospital: {service.hospital}   Clinic API: {service.api}")
        console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
        stories = []
        for case, files in _cases(cases, service.doors()):
            found = list(_stories(service, files))
            stories += found
            if not as_json:
                demo_page.show(console, case, found)
        if (case := cases / Loop.CASE / "inbound").is_dir():
            stories += _loop(Loop(service, Client(service.hospital), case.parent), None if as_json else console)
        if as_json:
            click.echo(json.dumps([story.data() for story in stories]))
        else:
            demo_page.close(console, stories)
        if keep:
            service.wait()
    if like == "hapi" and not all(story.equal for story in stories):  # HAPI takes everything: less than all is a loss
        raise BridgeError("not every record came back equal")
    if not all(story.arrived for story in stories):
        raise BridgeError("not every record was delivered and, where the hospital holds all of it, came back equal")


def _loop(loop: Loop, console: Console | None) -> list[Story]:
    """The story of referrals, and how each of its records stands at last on both sides."""
    if console:
        demo_page.begin(console)
    for step in loop.steps():
        if console:
            demo_page.step(console, step)
    site = bootstrap.site(Settings(), "default")
    ends = [story.compared(site) for story in loop.ends()]
    if console:
        demo_page.both_sides(console, ends)
    return ends


def _cases(folder: Path, doors: frozenset[str]) -> list[tuple[Path, list[Path]]]:
    """Each case with its records, in the order they are posted; only of kinds the service has a door for."""
    kinds = [kind for kind in KINDS if kind in doors]
    files = [file for kind in kinds for file in sorted(folder.glob(f"*/{kind}-*.json")) if not file.name.endswith(".fhir.json")]
    if not files:
        raise BridgeError(f"{folder}: holds no <case>/session-*.json; run this in a checkout of the project")
    return [(case, list(found)) for case, found in groupby(sorted(files, key=lambda file: file.parent), key=lambda file: file.parent)]


def _stories(service: Service, files: list[Path]) -> Iterator[Story]:
    """One after the other: what a series shares (its patient, its plan) moves on with each record and is read at its time.

    A record is compared while the next one is on its way.
    """
    site, hospital = bootstrap.site(Settings(), "default"), Client(service.hospital)
    last = None
    for file in files:
        posted = service.post(file)
        if last is not None:
            yield last.compared(site)
        last = told(file, service.delivered(posted["url"]), hospital)
    if last is not None:
        yield last.compared(site)
