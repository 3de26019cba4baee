"""`fhir-bridge map`: a clinic record as FHIR, and back. Needs no database and no hospital.

NDJSON is read and written line by line: a line that is refused is told on stderr, and the others go on.
"""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli.output import emit, file_argument, json_option, read, say, site_option
from fhir_bridge.errors import Refused
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert, lines
from fhir_bridge.sync.bridge import Site

#: one document in; what it becomes, what is to be told of it, and whether it holds contradictions
Turn = Callable[[Any], tuple[dict[str, Any], Iterable[str], bool]]


@click.command("map")
@file_argument
@click.option("--back", is_flag=True, help="FILE holds a FHIR resource or Bundle; print the clinic record in it.")
@click.option("--ndjson", is_flag=True, help="FILE has a document in each line; print one line for each.  [default: by its ending]")
@site_option
@json_option
def command(file: BinaryIO, back: bool, ndjson: bool, site: str, as_json: bool) -> None:
    """Print the transaction Bundle the clinic record in FILE becomes (`-` is standard input).

    With --back, print the record in a FHIR document; what no template speaks of is listed on stderr, and fields of which the
    document says contradictory things end with exit code 1.
    """
    turn = _turn(bootstrap.site(Settings.from_environ(), site), back)
    if ndjson or str(getattr(file, "name", "")).endswith(".ndjson"):
        failed = _each_line(file, turn)
    else:
        found, told, failed = turn(read(file))
        emit(found, as_json=as_json)
        for one in told:
            say(one)
    if failed:
        raise click.exceptions.Exit(1)


def _turn(place: Site, back: bool) -> Turn:
    def there(document: Any) -> tuple[dict[str, Any], Iterable[str], bool]:
        return convert.map_record(place.mapping, document, zone=place.zone, kinds=place.records), (), False

    def again(document: Any) -> tuple[dict[str, Any], Iterable[str], bool]:
        found = convert.map_back(place.mapping, document, kinds=place.records)
        return found.record, (*found.residue, *found.conflicts), bool(found.conflicts)

    return again if back else there


def _each_line(file: BinaryIO, turn: Turn) -> bool:
    """Whether any line was refused or contradicts itself."""
    failed = False
    for line in lines.read(file):
        try:
            found, told, contradicts = turn(line.document())
        except Refused as refused:
            told, contradicts = map(str, refused.faults), True
        else:
            emit(found, as_json=True)
        failed = failed or contradicts
        for one in told:
            say(f"line {line.number}: {one}")
    return failed
