"""`fhir-bridge referrals`: the inbox of what hospitals ask for, and the clinic's decisions, from the command line."""

from typing import Any

import click

from fhir_bridge import bootstrap, clock
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.clinic import words
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.store.clients import Client
from fhir_bridge.sync import refer_inbox
from fhir_bridge.sync.bridge import Bridge

session_option = click.option("--session", "sessions", multiple=True, help="Number of a session that answers it; may be said again.")


@click.group("referrals")
def command() -> None:
    """Show the referrals hospitals sent, and decide about them."""


@command.command("list")
@click.option("--status", type=click.Choice(words.REFERRAL_STATES), help="Only those that stand here.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@site_option
@json_option
def list_(status: str | None, limit: int, site: str, as_json: bool) -> None:
    """Print the newest referrals, without patients' names."""
    found = refer_inbox.listing(_bridge(site), site, status=status, limit=limit)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No referral.")


@command.command("show")
@click.argument("id")
@site_option
@json_option
def show(id: str, site: str, as_json: bool) -> None:
    """Print one referral, what was left out of it, and how far its news came."""
    emit(_known(refer_inbox.shown(_bridge(site), site, id)), as_json=as_json)


@command.command("accept")
@click.argument("id")
@site_option
@json_option
def accept(id: str, site: str, as_json: bool) -> None:
    """Take the patient."""
    _decide("accept", id, site=site, as_json=as_json)


@command.command("decline")
@click.argument("id")
@click.option("--reason", required=True, help="Why; the hospital reads it.")
@site_option
@json_option
def decline(id: str, reason: str, site: str, as_json: bool) -> None:
    """Do not take the patient, and say why."""
    _decide("decline", id, site=site, as_json=as_json, reason=reason)


@command.command("schedule")
@click.argument("id")
@session_option
@site_option
@json_option
def schedule(id: str, sessions: tuple[str, ...], site: str, as_json: bool) -> None:
    """Say that sessions are planned."""
    _decide("schedule", id, site=site, as_json=as_json, sessions=sessions)


@command.command("complete")
@click.argument("id")
@session_option
@site_option
@json_option
def complete(id: str, sessions: tuple[str, ...], site: str, as_json: bool) -> None:
    """Say that all that was asked for is done."""
    _decide("complete", id, site=site, as_json=as_json, sessions=sessions)


def _decide(verb: str, id: str, *, site: str, as_json: bool, **said: Any) -> None:
    bridge = _bridge(site)
    client = Client(site, "command-line", "fhir-bridge referrals", "clinic", clock.utc_now())
    found = _known(refer_inbox.decide(bridge, client, id, verb, **said))
    to = refer_inbox.DECISIONS[verb].to
    emit(found, as_json=as_json, text=lambda: f"{id} is {to}, version {found['version']}")


def _bridge(site: str) -> Bridge:
    settings = Settings.from_environ()
    if site not in settings.sites:
        raise Refused([Fault("--site", f"no site {site!r} is set; known: {', '.join(settings.sites)}")])
    bootstrap.prepare(settings)
    return bootstrap.bridge(settings)


def _known(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        raise Refused([Fault("id", "the site has no referral of this id")])
    return found


def _line(one: dict[str, Any]) -> str:
    asked = one["record"]["referral"]
    return (
        f"{one['id']}  {one['status']}  {asked['urgency']}  {asked['requested']['treatment']}  {one['received_at']}  from {one['sender']}"
    )
