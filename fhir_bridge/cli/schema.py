"""`fhir-bridge schema`: what a clinic record may hold, as JSON Schema, from the only definition there is."""

import click

from fhir_bridge.cli.output import emit, json_option
from fhir_bridge.clinic import records


@click.command("schema")
@click.argument("kind")
@json_option
def command(kind: str, as_json: bool) -> None:
    """Print the JSON Schema of a clinic record of KIND, like `session`."""
    emit(records.json_schema(kind), as_json=as_json)
