"""`fhir-bridge pause`: nothing more is sent to a hospital until somebody resumes it."""

import getpass

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.sync.delivery import hospital_state


@click.command("pause")
@click.argument("hospital")
@click.option("--reason", required=True, help="Why; shown in status and kept in the audit trail.")
@site_option
@json_option
def command(hospital: str, reason: str, site: str, as_json: bool) -> None:
    """Send nothing to HOSPITAL until it is resumed; what the clinic posts is kept and waits."""
    hospital_state.pause(opened.bridge(site), tenant=site, hospital=hospital, who=getpass.getuser(), why=reason)
    emit({"hospital": hospital, "paused": True}, as_json=as_json, text=lambda: f"{hospital} is paused")
