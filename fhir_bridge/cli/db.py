"""`fhir-bridge db`: the database's tables, brought to this version, asked where they stand, relieved of what is finished."""

import getpass

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option
from fhir_bridge.errors import Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync import archiving


@click.group("db")
def command() -> None:
    """Bring the database to this version, or ask where it stands."""


@command.command("upgrade")
@json_option
def upgrade(as_json: bool) -> None:
    """Bring the tables to this version; harmless when they are."""
    store = bootstrap.store(Settings.from_environ())
    store.upgrade()
    revision = store.revision()[0]
    emit({"revision": revision}, as_json=as_json, text=lambda: f"the tables are at revision {revision}")


@command.command("current")
@json_option
def current(as_json: bool) -> None:
    """Print the revision the tables are at, and the one this version needs."""
    found, head = bootstrap.store(Settings.from_environ()).revision()
    emit({"revision": found, "needed": head}, as_json=as_json, text=lambda: f"at {found or 'none'}, this version needs {head}")


@command.command("check")
@json_option
def check(as_json: bool) -> None:
    """Exit with 0 if the database can be used as it is, with 1 and the reasons if not."""
    if faults := bootstrap.store(Settings.from_environ()).check():
        raise Refused(faults)
    emit({"usable": True}, as_json=as_json, text=lambda: "the database can be used")


@command.command("archive")
@click.option("--older-than", "days", required=True, type=click.IntRange(min=0), help="Days since the delivery was finished.")
@json_option
def archive(days: int, as_json: bool) -> None:
    """Put finished deliveries and their attempts into the archive's tables; they are still told, and cost the work nothing."""
    moved = archiving.archive(opened.bridge(), days=days, who=getpass.getuser())
    emit({"archived": moved}, as_json=as_json, text=lambda: f"{moved} finished deliveries are in the archive")
