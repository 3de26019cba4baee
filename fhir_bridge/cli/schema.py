"""`fhir-bridge schema`: what a clinic record may hold, as JSON Schema, from the only definition there is."""

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.settings import Settings


@click.command("schema")
@click.argument("kind")
@site_option
@json_option
def command(kind: str, site: str, as_json: bool) -> None:
    """Print the JSON Schema of a clinic record of KIND, like `session`, with what the site's own tables add."""
    emit(bootstrap.site(Settings.from_environ(), site).records.json_schema(kind), as_json=as_json)
