"""`fhir-bridge demo`: the product's main job on real processes and real HTTP, told so that a person can follow it.

Starts a hospital in a box (unless an address of a real one is given) and the service with SQLite in a temporary folder, posts
every case over HTTP, waits until the worker delivered, reads the resources from the hospital's FHIR API, maps them back and
compares. Ends with 0 only if every record came back equal.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fhir_bridge import bootstrap, documents
from fhir_bridge.cli.demo_service import Service, running_service
from fhir_bridge.cli.output import json_option, say
from fhir_bridge.clinic import records
from fhir_bridge.errors import BridgeError
from fhir_bridge.hospital.client import Call, Client, Reply
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert


@dataclass(frozen=True, slots=True)
class Story:
    """One case as it went: what was posted, what the hospital holds (`Type/id`, version), and whether it came back equal."""

    case: str
    record: str
    state: str
    resources: tuple[tuple[str, str], ...]
    equal: bool

    def data(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "record": self.record,
            "state": self.state,
            "equal": self.equal,
            "resources": [{"is": reference, "version": version} for reference, version in self.resources],
        }


@click.command("demo")
@click.option("--cases", type=click.Path(exists=True, file_okay=False, path_type=Path), default="fixtures/cases", show_default=True)
@click.option("--hospital", help="FHIR base address of a real server.  [default: start the built-in hospital]")
@click.option("--like", default="hapi", show_default=True, help="Which server the built-in hospital behaves like.")
@click.option("--serve", "keep", is_flag=True, help="Stay up afterwards, until Ctrl-C.")
@json_option
def command(cases: Path, hospital: str | None, like: str, keep: bool, as_json: bool) -> None:
    """Carry every case to a hospital and back, and print what happened."""
    files = list(_sessions(cases))
    if not files:
        raise BridgeError(f"{cases}: holds no <case>/session-*.json; run this in a checkout of the project")
    with running_service(hospital=hospital, like=like) as service:
        say(f"Hospital: {service.hospital}   Clinic API: {service.api}")
        stories = _tell(service, files)
        if as_json:
            click.echo(json.dumps([story.data() for story in stories]))
        else:
            _print(stories)
        if keep:
            service.wait()
    if not all(story.equal for story in stories):
        raise BridgeError("not every record came back equal")


def _sessions(cases: Path) -> Iterator[Path]:
    return (path for path in sorted(cases.glob("*/session-*.json")) if not path.name.endswith(".fhir.json"))


def _tell(service: Service, files: list[Path]) -> list[Story]:
    """One after the other: what a series shares (its patient, its plan) moves on with each session and is compared at its time."""
    hospital = Client(service.hospital)
    stories = []
    for file in files:
        posted = service.post("/api/v1/sessions", file.read_bytes(), key=f"demo/{file.parent.name}/{file.name}")
        stories.append(_story(service, hospital, posted["id"], file))
        say(f"{stories[-1].case}: {stories[-1].state}, {len(stories[-1].resources)} resources, {_verdict(stories[-1])}")
    return stories


def _story(service: Service, hospital: Client, record_id: str, file: Path) -> Story:
    shown = service.delivered(f"/api/v1/sessions/{record_id}")
    references = [sent["theirs"] for delivery in shown["deliveries"] for sent in delivery["resources"]]
    held = [_read(hospital, reference) for reference in references]
    versions = tuple(
        (reference, str(document.get("meta", {}).get("versionId", ""))) for reference, document in zip(references, held, strict=True)
    )
    states = ", ".join(delivery["state"] for delivery in shown["deliveries"])
    return Story(f"{file.parent.name}/{file.stem}", record_id, states, versions, equal=_equal(file, held))


def _read(hospital: Client, reference: str) -> dict[str, Any]:
    reply = hospital.send(Call("GET", reference))
    if isinstance(reply, Reply) and reply.status == 200:
        found: dict[str, Any] = reply.body
        return found
    raise BridgeError(f"the hospital does not give {reference} back")


def _equal(file: Path, held: list[dict[str, Any]]) -> bool:
    """Whether the clinic record read from the hospital's documents is the one in `file`, to the last digit."""
    place = bootstrap.site(Settings(), "default")
    posted = documents.loads(file.read_bytes())
    expected = records.load(records.kind_of(posted), posted, zone=place.zone)
    return documents.canonical(convert.map_back(place.mapping, held).record) == documents.canonical(expected)


def _verdict(story: Story) -> str:
    return "came back equal" if story.equal else "came back DIFFERENT"


def _print(stories: list[Story]) -> None:
    console = Console()
    for story in stories:
        title = f"{story.case}: session {story.record}, {story.state}"
        table = Table("the hospital holds", "version", title=title, title_justify="left")
        for reference, version in story.resources:
            table.add_row(reference, version)
        console.print(table)
        console.print(f"[{'green' if story.equal else 'red'}]{_verdict(story)}[/]\n")
    console.print(f"{sum(story.equal for story in stories)} of {len(stories)} records carried to the hospital and back, equal.")
