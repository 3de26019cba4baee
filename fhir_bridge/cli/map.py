"""`fhir-bridge map`: a clinic record as FHIR, and back. Needs no database and no hospital."""

from typing import BinaryIO

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, file_argument, json_option, read, say, site_option
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert


@click.command("map")
@file_argument
@click.option("--back", is_flag=True, help="FILE holds a FHIR resource or Bundle; print the clinic record in it.")
@site_option
@json_option
def command(file: BinaryIO, back: bool, site: str, as_json: bool) -> None:
    """Print the transaction Bundle the clinic record in FILE becomes (`-` is standard input).

    With --back, print the record in a FHIR document; what no template speaks of is listed on stderr, and fields of which the
    document says contradictory things end with exit code 1.
    """
    document = read(file)
    place = bootstrap.site(Settings.from_environ(), site)
    if not back:
        emit(convert.map_record(place.mapping, document, zone=place.zone), as_json=as_json)
        return
    found = convert.map_back(place.mapping, document)
    emit(found.record, as_json=as_json)
    for line in (*found.residue, *found.conflicts):
        say(line)
    if found.conflicts:
        raise click.exceptions.Exit(1)
