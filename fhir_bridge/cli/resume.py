"""`fhir-bridge resume`: a paused hospital is sent to again."""

import getpass

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.sync.delivery import hospital_state


@click.command("resume")
@click.argument("hospital")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@site_option
@json_option
def command(hospital: str, reason: str, site: str, as_json: bool) -> None:
    """Send to the paused HOSPITAL again."""
    hospital_state.resume(opened.bridge(site), tenant=site, hospital=hospital, who=getpass.getuser(), why=reason)
    emit({"hospital": hospital, "paused": False}, as_json=as_json, text=lambda: f"{hospital} is sent to again")
