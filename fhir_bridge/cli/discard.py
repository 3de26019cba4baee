"""`fhir-bridge discard`: stopped deliveries are given up, with a reason that stays in the audit trail."""

import getpass
from typing import Any

import click

from fhir_bridge.cli import opened
from fhir_bridge.cli.output import emit
from fhir_bridge.cli.selection import chosen, selection
from fhir_bridge.sync.delivery import stopped


@click.command("discard")
@selection
@click.option("--reason", required=True, help="Why it is given up; kept in the audit trail.")
def command(delivery: str | None, reason: str, as_json: bool, **which: Any) -> None:
    """Give the stopped DELIVERY (its id, as `fhir-bridge status` prints it) up for good, or many; started again it does the rest."""
    wanted = chosen(delivery, **which)
    bridge, who = opened.bridge(wanted.which.tenant), getpass.getuser()
    if wanted.delivery:
        stopped.discard(bridge, tenant=wanted.which.tenant, id=wanted.delivery, who=who, why=reason)
        emit({"id": delivery, "state": "discarded"}, as_json=as_json, text=lambda: f"{delivery} is given up")
        return
    count = stopped.discard_many(bridge, wanted.which, who=who, why=reason)
    emit({"discarded": count.done}, as_json=as_json, text=lambda: f"{count.done} are given up")
