"""`fhir-bridge referrals`: the inbox of what hospitals ask for, and the clinic's decisions, from the command line."""

from typing import Any

import click

from fhir_bridge import bootstrap, clock
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.clinic import words
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.settings import Settings
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.bridge import Bridge
from fhir_bridge.sync.referrals import inbox, orphans

session_option = click.option("--session", "sessions", multiple=True, help="Number of a session that answers it; may be said again.")
reason_option = click.option("--reason", required=True, help="Why; the hospital reads it.")


@click.group("referrals")
def command() -> None:
    """Show the referrals hospitals sent, and decide about them."""


@command.command("list")
@click.option("--status", type=click.Choice(words.REFERRAL_STATES), help="Only those that stand here.")
@click.option("--undecided", is_flag=True, help="Only those for which a person must say whose patient it is.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@site_option
@json_option
def list_(status: str | None, undecided: bool, limit: int, site: str, as_json: bool) -> None:
    """Print the newest referrals, without patients' names."""
    found = inbox.listing(_bridge(site), site, status=status, undecided=undecided, limit=limit)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No referral.")


@command.command("show")
@click.argument("id")
@site_option
@json_option
def show(id: str, site: str, as_json: bool) -> None:
    """Print one referral, what was left out of it, and how far its news came."""
    emit(_known(inbox.shown(_bridge(site), site, id)), as_json=as_json)


@command.command("orphans")
@click.option("--days", type=click.IntRange(0, 3650), help="Stuck for so many days, wherever they stand.  [default: by state]")
@site_option
@json_option
def orphans_(days: int | None, site: str, as_json: bool) -> None:
    """Print the referrals neither side is moving: since when, who must act, and what to do."""
    found = orphans.of_site(_bridge(site), site, days=days)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_stuck, found)) or "Nothing is stuck.")


@command.command("accept")
@click.argument("id")
@site_option
@json_option
def accept(id: str, site: str, as_json: bool) -> None:
    """Take the patient."""
    _decide("accept", id, site=site, as_json=as_json)


@command.command("decline")
@click.argument("id")
@reason_option
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


@command.command("hold")
@click.argument("id")
@reason_option
@site_option
@json_option
def hold(id: str, reason: str, site: str, as_json: bool) -> None:
    """Put it on hold, and say why; `accept` takes it up again."""
    _decide("hold", id, site=site, as_json=as_json, reason=reason)


@command.command("cancel")
@click.argument("id")
@reason_option
@site_option
@json_option
def cancel(id: str, reason: str, site: str, as_json: bool) -> None:
    """Cancel what was begun, and say why."""
    _decide("cancel", id, site=site, as_json=as_json, reason=reason)


@command.command("fail")
@click.argument("id")
@reason_option
@site_option
@json_option
def fail(id: str, reason: str, site: str, as_json: bool) -> None:
    """Say that what was begun could not be carried out, and why."""
    _decide("fail", id, site=site, as_json=as_json, reason=reason)


@command.command("match")
@click.argument("id")
@click.option("--patient", help="The clinic's number of the patient.")
@click.option("--new", is_flag=True, help="A patient nobody knew, under the number of --patient or one of ours.")
@site_option
@json_option
def match(id: str, patient: str | None, new: bool, site: str, as_json: bool) -> None:
    """Say whose patient it is; `show` prints the candidates."""
    found = _known(inbox.match(_bridge(site), _client(site), id, patient=patient, new=new))
    emit(found, as_json=as_json, text=lambda: f"{id} is matched, version {found['version']}")


def _decide(verb: str, id: str, *, site: str, as_json: bool, **said: Any) -> None:
    found = _known(inbox.decide(_bridge(site), _client(site), id, verb, **said))
    to = inbox.DECISIONS[verb].to
    emit(found, as_json=as_json, text=lambda: f"{id} is {to}, version {found['version']}")


def _client(site: str) -> Client:
    return Client(site, "command-line", "fhir-bridge referrals", "clinic", clock.utc_now())


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


def _stuck(one: dict[str, Any]) -> str:
    return f"{one['id']}  {one['status']}  {one['stuck']} for {one['days']} days  {one['who']}: {one['do']}"


def _line(one: dict[str, Any]) -> str:
    asked = one["record"]["referral"]
    said = (
        f"{one['id']}  {one['status']}  {asked['urgency']}  {asked['requested']['treatment']}  {one['received_at']}  from {one['sender']}"
    )
    return said + ("  WHOSE PATIENT?" if one["match"]["verdict"] == "open" else "")
