"""The `fhir-bridge` command: knows each subcommand's name and one line of help, and imports it only when it runs.

Exit codes: 0 done, 1 refused or failed with the reason on stderr, 2 wrong usage.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from fhir_bridge import __version__
from fhir_bridge.errors import BridgeError, Refused

# name → what `--help` says of it. The command lives in fhir_bridge.cli.<name> as `command`.
COMMANDS: Mapping[str, str] = {
    "serve": "Serve the clinic's API over HTTP.",
    "worker": "Deliver what was accepted, until stopped.",
    "sync": "Deliver and fetch everything that is due now, once.",
    "schedule": "Say when syncs run by themselves, and see each run.",
    "scheduler": "Run what is scheduled, until stopped.",
    "map": "Print the FHIR a clinic record becomes, or the record in FHIR.",
    "explain": "Print the template line each leaf belongs to, and the coverage.",
    "mapping": "Check templates and code tables.",
    "plan": "Print in words what a hospital would be sent.",
    "schema": "Print the JSON Schema of a clinic record.",
    "sessions": "Import sessions from a file of many.",
    "referrals": "Show the referrals hospitals sent, and decide about them.",
    "webhooks": "Call the clinic's own systems when something changed.",
    "conflicts": "Show what both sides say differently, and decide.",
    "reconcile": "Compare everything with what the hospitals hold.",
    "status": "Print what waits, what is stuck and why.",
    "retry": "Try a stopped delivery again.",
    "discard": "Give up a stopped delivery, with a reason.",
    "pause": "Send nothing to a hospital until it is resumed.",
    "resume": "Send to a paused hospital again.",
    "keys": "Make, rotate and show the keys we sign in to hospitals with.",
    "clients": "Add, list, rotate and revoke the clients that may call the bridge.",
    "db": "Bring the database to this version, or ask where it stands.",
    "sandbox": "Run a hospital in a box.",
    "rehearse": "Rehearse a day of failures, and print what became of every record.",
    "demo": "Carry the fixture cases to a hospital and back, and show it.",
}


class LazyGroup(click.Group):
    """A group whose `--help` and name completion import no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"fhir_bridge.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            for fault in refused.faults:
                click.echo(str(fault), err=True)
        except BridgeError as error:
            click.echo(str(error), err=True)
        return ctx.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fhir-bridge")
def command() -> None:
    """Carry a headache-infusion clinic's records to a hospital's FHIR R4 server, and back."""


def main() -> None:
    command(prog_name="fhir-bridge")
