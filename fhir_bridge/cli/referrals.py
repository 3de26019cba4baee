"""`fhir-bridge referrals`: the inbox of what hospitals ask for, and the clinic's decisions, from the command line."""

from typing import Any

import click

from fhir_bridge import clock
from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.clinic import words
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.store.clients import Client
from fhir_bridge.sync.referrals import attached, inbox, orphans

ABOUT = {
    "accept": "Take the patient.",
    "decline": "Do not take the patient, and say why.",
    "schedule": "Say that sessions are planned.",
    "complete": "Say that all that was asked for is done.",
    "hold": "Put it on hold, and say why; `accept` takes it up again.",
    "cancel": "Cancel what was begun, and say why.",
    "fail": "Say that what was begun could not be carried out, and why.",
}
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
    found = inbox.listing(opened.bridge(site), site, status=status, undecided=undecided, limit=limit)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No referral.")


@command.command("show")
@click.argument("id")
@site_option
@json_option
def show(id: str, site: str, as_json: bool) -> None:
    """Print one referral, what was left out of it, and how far its news came."""
    emit(_known(inbox.shown(opened.bridge(site), site, id)), as_json=as_json)


@command.command("attachment")
@click.argument("id")
@click.argument("number")
@site_option
def attachment(id: str, number: str, site: str) -> None:
    """Write the document NUMBER that came along with a referral to stdout, byte for byte."""
    found = attached.content(opened.bridge(site), site, id, number)
    if found is None:
        raise Refused([Fault("number", "no document of this number came here with the referral; what is elsewhere stays there")])
    click.echo(found, nl=False)  # bytes go out as they are


@command.command("orphans")
@click.option("--days", type=click.IntRange(0, 3650), help="Stuck for so many days, wherever they stand.  [default: by state]")
@site_option
@json_option
def orphans_(days: int | None, site: str, as_json: bool) -> None:
    """Print the referrals neither side is moving: since when, who must act, and what to do."""
    found = orphans.of_site(opened.bridge(site), site, days=days)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_stuck, found)) or "Nothing is stuck.")


@command.command("match")
@click.argument("id")
@click.option("--patient", help="The clinic's number of the patient.")
@click.option("--new", is_flag=True, help="A patient nobody knew, under the number of --patient or one of ours.")
@site_option
@json_option
def match(id: str, patient: str | None, new: bool, site: str, as_json: bool) -> None:
    """Say whose patient it is; `show` prints the candidates."""
    found = _known(inbox.match(opened.bridge(site), _client(site), id, patient=patient, new=new))
    emit(found, as_json=as_json, text=lambda: f"{id} is matched, version {found['version']}")


def _decider(verb: str, about: str) -> click.Command:
    """The command of one decision, with the options its row in `inbox.DECISIONS` asks for."""
    decision = inbox.DECISIONS[verb]

    def decide(id: str, site: str, as_json: bool, **said: Any) -> None:
        found = _known(inbox.decide(opened.bridge(site), _client(site), id, verb, **said))
        emit(found, as_json=as_json, text=lambda: f"{id} is {decision.to}, version {found['version']}")

    asks = [click.argument("id")]
    asks += [reason_option] if decision.reason else []
    asks += [session_option] if decision.sessions else []
    for option in reversed((*asks, site_option, json_option)):
        decide = option(decide)
    return click.command(verb, help=about)(decide)


def _client(site: str) -> Client:
    return Client(site, "command-line", "fhir-bridge referrals", "clinic", clock.utc_now())


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


for _verb, _about in ABOUT.items():
    command.add_command(_decider(_verb, _about))
