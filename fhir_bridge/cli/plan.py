"""`fhir-bridge plan`: what a hospital would be sent, in words, before anything is sent."""

from typing import BinaryIO

import click

from fhir_bridge import bootstrap
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, file_argument, json_option, read, site_option
from fhir_bridge.cli.sandbox import LIKE
from fhir_bridge.errors import BridgeError, Fault, Refused
from fhir_bridge.hospital import capabilities, words
from fhir_bridge.hospital.capabilities import Capabilities
from fhir_bridge.sandbox import profile
from fhir_bridge.settings import Settings
from fhir_bridge.sync import convert
from fhir_bridge.sync.delivery.job import Outage
from fhir_bridge.sync.delivery.statement import fetch


@click.command("plan")
@file_argument
@click.option("--like", type=click.Choice(LIKE), help="A hospital like this one.")
@click.option("--hospital", help="A hospital of the settings; it is asked for its CapabilityStatement.")
@site_option
@json_option
def command(file: BinaryIO, like: str | None, hospital: str | None, site: str, as_json: bool) -> None:
    """Print how the clinic record in FILE would be sent to a hospital: each write, its way, and what would not go and why."""
    if (like is None) == (hospital is None):
        raise click.UsageError("say either --like or --hospital")
    place = bootstrap.site(Settings.from_environ(), site)
    able = _like(like) if like else _of(hospital or "", site)
    planned = convert.plan_of(place.mapping, read(file), zone=place.zone, able=able, kinds=place.records)
    emit(words.data(planned), as_json=as_json, text=lambda: "\n".join(words.lines(planned)))


def _like(name: str) -> Capabilities:
    """What the built-in hospital of that name says it can do, and what would be agreed with it."""
    return capabilities.read(profile.load(name).statement, site=capabilities.site_file(profile.agreed(name).rules))


def _of(name: str, site: str) -> Capabilities:
    bridge = opened.bridge(site)
    if (hospital := bridge.hospitals.get(name)) is None:
        raise Refused([Fault("--hospital", f"no hospital {name!r} is set; known: {', '.join(bridge.hospitals) or 'none'}")])
    found = fetch(bridge, tenant=site, hospital=hospital)
    if isinstance(found, Outage):
        raise BridgeError(found.reason)
    return found
