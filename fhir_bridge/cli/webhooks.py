"""`fhir-bridge webhooks`: the clinic's receivers that are called when something changed."""

import getpass
import os
import secrets
import socket
from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, say, site_option
from fhir_bridge.sync import webhooks
from fhir_bridge.sync.telling import send as webhooks_send
from fhir_bridge.sync.telling.sign import SECRET_BYTES


@click.group("webhooks")
def command() -> None:
    """Call the clinic's own systems when something changed."""


@command.command("add")
@click.argument("url")
@click.option("--after", type=click.IntRange(0), help="Tell of what came after this cursor too.  [default: from now on]")
@site_option
@json_option
def add(url: str, after: int | None, site: str, as_json: bool) -> None:
    """Call URL (https) with each change from now on; prints the secret it is signed with, which cannot be shown again."""
    told = webhooks.add(opened.bridge(site), site, url=url, secret=secrets.token_bytes(SECRET_BYTES), who=getpass.getuser(), after=after)
    say(f"Added {told['id']}; `fhir-bridge webhooks test {told['id']}` tries it")
    emit(told, as_json=as_json, text=lambda: told["secret"])


@command.command("list")
@site_option
@json_option
def listing(site: str, as_json: bool) -> None:
    """Print every receiver: how far it is, what waits, what is dead."""
    found = webhooks.listing(opened.bridge(site), site)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No webhook yet.")


@command.command("show")
@click.argument("id")
@site_option
@json_option
def show(id: str, site: str, as_json: bool) -> None:
    """Print one receiver, and the changes it did not take and why."""
    emit(webhooks.shown(opened.bridge(site), site, id), as_json=as_json)


@command.command("test")
@click.argument("id")
@site_option
@json_option
def test(id: str, site: str, as_json: bool) -> None:
    """Send a signed test message now, and print what was answered."""
    status = webhooks.test(opened.bridge(site), site, id)
    emit({"id": id, "status": status}, as_json=as_json, text=lambda: f"{id} answered {status}")


@command.command("rotate")
@click.argument("id")
@click.option("--hours", type=click.FloatRange(0, 24 * 30), default=24, show_default=True, help="So long the old secret signs too.")
@site_option
@json_option
def rotate(id: str, hours: float, site: str, as_json: bool) -> None:
    """Print a new secret; for a while both sign. 0 hours when the old one is no longer secret."""
    told = webhooks.rotate(opened.bridge(site), site, id, secret=secrets.token_bytes(SECRET_BYTES), who=getpass.getuser(), hours=hours)
    emit(told, as_json=as_json, text=lambda: told["secret"])


@command.command("retry")
@click.argument("id")
@click.option("--cursor", type=click.IntRange(1), help="Only the dead message of this change.")
@site_option
@json_option
def retry(id: str, cursor: int | None, site: str, as_json: bool) -> None:
    """Send the dead messages again; a receiver that stopped is called again."""
    count = webhooks.retry(opened.bridge(site), site, id, who=getpass.getuser(), cursor=cursor)
    emit({"id": id, "retried": count}, as_json=as_json, text=lambda: f"{count} are on their way again")


@command.command("send")
@json_option
def send(as_json: bool) -> None:
    """Send all that is due now, of every site, once: for cron, where no worker runs."""
    bridge, turns = opened.bridge(), 0
    while called := webhooks_send.send_due(bridge, worker=f"{socket.gethostname()}:{os.getpid()}"):
        turns += called
    emit({"turns": turns}, as_json=as_json, text=lambda: f"{turns} turns with receivers")


@command.command("remove")
@click.argument("id")
@site_option
@json_option
def remove(id: str, site: str, as_json: bool) -> None:
    """Call it no more, and forget what it did not take."""
    webhooks.remove(opened.bridge(site), site, id, who=getpass.getuser())
    emit({"id": id, "removed": True}, as_json=as_json, text=lambda: f"{id} is removed")


def _line(one: dict[str, Any]) -> str:
    waits = f"{one['waiting']} waiting, {one['dead']} dead, {one['behind']} behind"
    why = f": {one['why_stopped']}" if "why_stopped" in one else ""
    return f"{one['id']}  {one['url']}  {one['state']}{why}  {waits}"
