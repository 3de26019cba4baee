"""`fhir-bridge discard`: a stopped delivery is given up, with a reason that stays in the audit trail."""

import getpass

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.settings import Settings
from fhir_bridge.sync import stopped


@click.command("discard")
@click.argument("delivery")
@click.option("--reason", required=True, help="Why it is given up; kept in the audit trail.")
@site_option
@json_option
def command(delivery: str, reason: str, site: str, as_json: bool) -> None:
    """Give the stopped DELIVERY (its id, as `fhir-bridge status` prints it) up for good."""
    stopped.discard(bootstrap.bridge(Settings.from_environ()), tenant=site, id=delivery, who=getpass.getuser(), why=reason)
    emit({"id": delivery, "state": "discarded"}, as_json=as_json, text=lambda: f"{delivery} is given up")
