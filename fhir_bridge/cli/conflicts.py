"""`fhir-bridge conflicts`: what both sides say differently, and a person's decisions, from the command line."""

import getpass
from collections.abc import Callable
from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit, json_option, site_option
from fhir_bridge.errors import Fault, Refused
from fhir_bridge.sync import conflicts
from fhir_bridge.sync.conflicts import Which

STATES = ("open", "kept-ours", "took-theirs", "settled")
hospital_option = click.option("--hospital", help="Those with this hospital.")


@click.group("conflicts")
def command() -> None:
    """Show what both sides say differently, and decide which stands."""


@command.command("list")
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True)
@hospital_option
@site_option
@json_option
def list_(state: str, hospital: str | None, site: str, as_json: bool) -> None:
    """Print the conflicts, the oldest first, without values."""
    found = conflicts.listing(opened.bridge(site), site, state=state, hospital=hospital)
    emit(found, as_json=as_json, text=lambda: "\n".join(map(_line, found)) or "No conflict.")


@command.command("show")
@click.argument("id")
@site_option
@json_option
def show(id: str, site: str, as_json: bool) -> None:
    """Print one conflict with both values."""
    found = conflicts.shown(opened.bridge(site), site, id)
    if found is None:
        raise Refused([Fault("id", "the site has no conflict of this id")])
    emit(found, as_json=as_json)


def _decision(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and options of a decision about one, or about many."""
    for option in (
        json_option,
        site_option,
        click.option("--reason", default="", help="Why; kept in the audit trail."),
        click.option("--field", help="Those of this field, as `list` prints it: follow_up.start, readings[].heart_rate …"),
        hospital_option,
        click.option("--all", "everything", is_flag=True, help="All of the site."),
        click.argument("id", required=False),
    ):
        command = option(command)
    return command


@command.command("keep-ours")
@_decision
def keep_ours(id: str | None, **said: Any) -> None:
    """What the clinic says stands; it is sent to the hospital again."""
    _decide(id, one=conflicts.keep_ours, many=conflicts.keep_ours_in, state="kept-ours", **said)


@command.command("take-theirs")
@_decision
def take_theirs(id: str | None, **said: Any) -> None:
    """What the hospital says stands, as the next version of the clinic's record."""
    _decide(id, one=conflicts.take_theirs, many=conflicts.take_theirs_in, state="took-theirs", **said)


def _decide(
    id: str | None, *, one: Callable[..., None], many: Callable[..., conflicts.Count], state: str,
    everything: bool, hospital: str | None, field: str | None, reason: str, site: str, as_json: bool,
) -> None:  # fmt: skip
    several = everything or hospital is not None or field is not None
    if (id is None) != several:
        raise click.UsageError("name one ID, or several by --all, --hospital or --field")
    bridge, who = opened.bridge(site), getpass.getuser()
    if id is not None:
        one(bridge, tenant=site, id=id, who=who, why=reason)
        emit({"id": id, "state": state}, as_json=as_json, text=lambda: f"{id} is decided: {state}")
        return
    count = many(bridge, Which(site, hospital, field), who=who, why=reason)
    left = f"; {len(count.left)} left, decide them one by one to hear why: {' '.join(count.left)}" if count.left else ""
    emit({"decided": count.done, "left": list(count.left)}, as_json=as_json, text=lambda: f"{count.done} decided: {state}{left}")


def _line(one: dict[str, Any]) -> str:
    field = f"{one['field']} (the {one['owner']}'s field): " if "field" in one else ""
    return f"{one['id']}  {one['since']}  {one['hospital']}  {one['record']}  {field}{one['in_words']}"
