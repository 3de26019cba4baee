"""`fhir-bridge retry`: a stopped delivery runs again."""

import getpass

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.settings import Settings
from fhir_bridge.sync import stopped


@click.command("retry")
@click.argument("delivery")
@site_option
@json_option
def command(delivery: str, site: str, as_json: bool) -> None:
    """Try the stopped DELIVERY (its id, as `fhir-bridge status` prints it) again."""
    stopped.retry(bootstrap.bridge(Settings.from_environ()), tenant=site, id=delivery, who=getpass.getuser())
    emit({"id": delivery, "state": "pending"}, as_json=as_json, text=lambda: f"{delivery} is on its way again")
